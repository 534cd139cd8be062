"""Images to tensors and back."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image

from shamisa_cli.imaging.arrays import to_image, to_tensor


def test_an_image_comes_back_from_its_tensor(sample_photos: list[Image.Image]) -> None:
    pixels = to_tensor(sample_photos[0])
    expected = np.asarray(sample_photos[0]).transpose(2, 0, 1) / np.float32(255)
    assert np.array_equal(pixels.numpy(), expected)
    assert pixels.is_contiguous()
    assert to_image(pixels) == sample_photos[0]


def test_values_are_rounded_to_the_nearest() -> None:
    values = torch.tensor([0.0, 0.49, 0.51, 254.49, 254.51, 255.0]) / 255
    row = np.asarray(to_image(values.expand(3, 1, 6)))[0, :, 0]
    assert row.tolist() == [0, 0, 1, 254, 255, 255]
