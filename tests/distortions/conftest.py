"""Crops of real photos, and one image through all five published levels."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from shamisa_cli.distortions.apply import apply_distortion
from shamisa_cli.distortions.registry import DISTORTIONS

LEVELS = (0.0, 0.25, 0.5, 0.75, 1.0)


@pytest.fixture(scope="session")
def crops(sample_photos: list[Image.Image]) -> Tensor:
    """(2, 3, 96, 112) float32, exact multiples of 1/255: china.jpg's roofs, flower.jpg's petals."""
    boxes = ((250, 120, 362, 216), (200, 150, 312, 246))
    arrays = [np.array(p.crop(box)) for p, box in zip(sample_photos, boxes, strict=True)]
    return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).contiguous().float() / 255


@pytest.fixture(scope="session")
def at_levels(crops: Tensor) -> Callable[..., np.ndarray]:
    """``at_levels(name, sign=1, seed=0)``: (5 levels, 2 photos, 96, 112, 3) float64."""

    def apply(name: str, sign: int = 1, seed: int = 0) -> np.ndarray:
        severity = torch.tensor(LEVELS).repeat_interleave(len(crops))
        generator = torch.Generator().manual_seed(seed)
        images = crops.repeat(len(LEVELS), 1, 1, 1)
        done = apply_distortion(images, name, severity, generator, sign)
        shaped = done.view(len(LEVELS), *crops.shape)
        return shaped.permute(0, 1, 3, 4, 2).double().numpy()

    return apply


@pytest.fixture(scope="session")
def originals(crops: Tensor) -> np.ndarray:
    """The crops as (2, 96, 112, 3) float64."""
    return crops.permute(0, 2, 3, 1).double().numpy()


@pytest.fixture(scope="session")
def rungs(
    at_levels: Callable[..., np.ndarray], originals: np.ndarray
) -> Callable[..., Iterator[tuple[float, np.ndarray, np.ndarray]]]:
    """``rungs(name, sign=1)``: (native parameter, distorted, original) of every level and photo."""

    def iterate(name: str, sign: int = 1) -> Iterator[tuple[float, np.ndarray, np.ndarray]]:
        for native, images in zip(DISTORTIONS[name].levels, at_levels(name, sign), strict=True):
            for image, original in zip(images, originals, strict=True):
                yield native, image, original

    return iterate


@pytest.fixture(scope="session")
def textbook_rgb() -> Callable[[np.ndarray], np.ndarray]:
    """CIELab to sRGB by the formulas in float64, negative Z kept (scikit-image clips it)."""

    def convert(lab: np.ndarray) -> np.ndarray:
        f_y = (lab[..., 0] + 16) / 116
        f = np.stack([f_y + lab[..., 1] / 500, f_y, f_y - lab[..., 2] / 200], axis=-1)
        delta = 6 / 29
        xyz = np.where(f > delta, f**3, 3 * delta**2 * (f - 4 / 29)) * [0.95047, 1.0, 1.08883]
        matrix = np.array(
            [
                [0.412453, 0.357580, 0.180423],
                [0.212671, 0.715160, 0.072169],
                [0.019334, 0.119193, 0.950227],
            ]
        )
        linear = np.clip(xyz @ np.linalg.inv(matrix).T, 0, 1)
        return np.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear)

    return convert
