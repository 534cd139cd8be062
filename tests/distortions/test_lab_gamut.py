"""Saturation in CIELab goes far out of gamut; the way there and back is CIE's definition."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.functional import pil_to_tensor

from shamisa_cli.distortions.color import color_saturation_2

RGB_TO_XYZ = np.array(
    [
        [0.412453, 0.357580, 0.180423],
        [0.212671, 0.715160, 0.072169],
        [0.019334, 0.119193, 0.950227],
    ]
)
WHITE = RGB_TO_XYZ.sum(1)
DELTA = 6 / 29


def _saturated(rgb: np.ndarray, factor: float, *, clip_z: bool) -> np.ndarray:
    """By the formulas of CIE 15, in float64; f and its inverse are linear below the knee, also for
    negative values. ``clip_z`` leaves no Z below 0, as some libraries do."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    ratio = linear @ RGB_TO_XYZ.T / WHITE
    f = np.where(ratio > DELTA**3, np.cbrt(ratio), ratio / (3 * DELTA**2) + 4 / 29)
    a, b = f[..., 0] - f[..., 1], f[..., 1] - f[..., 2]
    back = np.stack([f[..., 1] + factor * a, f[..., 1], f[..., 1] - factor * b], axis=-1)
    if clip_z:
        back[..., 2] = back[..., 2].clip(0)
    xyz = np.where(back > DELTA, back**3, 3 * DELTA**2 * (back - 4 / 29)) * WHITE
    linear = (xyz @ np.linalg.inv(RGB_TO_XYZ).T).clip(0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def _psnr(one: np.ndarray, other: np.ndarray) -> float:
    return float(-10 * np.log10(np.mean((one - other) ** 2)))


@pytest.mark.parametrize("factor", [2.0, 9.0])
def test_it_is_the_definition_and_clipping_hardly_matters(
    sample_photos: list[Image.Image], factor: float
) -> None:
    for photo in sample_photos:
        pixels = pil_to_tensor(photo.resize((160, 107))).double()[None] / 255
        native = torch.tensor([factor])
        made = color_saturation_2(pixels.float(), native, torch.Generator())[0]
        found = made.permute(1, 2, 0).double().numpy()
        original = pixels[0].permute(1, 2, 0).numpy()
        unclipped, clipped = (_saturated(original, factor, clip_z=c) for c in (False, True))
        assert _psnr(found, unclipped) > 60
        assert abs(_psnr(clipped, original) - _psnr(unclipped, original)) < 0.5
