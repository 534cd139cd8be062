"""Color distortions against slow versions from their definitions (scikit-image, SciPy)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from scipy import ndimage
from skimage.color import hsv2rgb, lab2rgb, rgb2hsv, rgb2lab

from shamisa_cli.distortions import color
from shamisa_cli.distortions.colorspace import lab_to_rgb, rgb_to_lab

Rungs = Callable[..., Iterator[tuple[float, np.ndarray, np.ndarray]]]
ToRgb = Callable[[np.ndarray], np.ndarray]


def truncated_gaussian(plane: np.ndarray, sigma: float) -> np.ndarray:
    radius = math.ceil(2 * sigma)
    return ndimage.gaussian_filter(plane, sigma, mode="nearest", radius=radius)


def test_lab_agrees_with_scikit_image_and_comes_back() -> None:
    """Every color of a 33³ lattice: L*, a*, b* to 1e-3, and the way back to 2e-5."""
    axis = np.linspace(0, 1, 33)
    lattice = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(1, 33, -1, 3)
    images = torch.from_numpy(lattice).float().permute(0, 3, 1, 2)
    lab = rgb_to_lab(images)
    expected = rgb2lab(lattice)
    np.testing.assert_allclose(lab.permute(0, 2, 3, 1).numpy(), expected, atol=1e-3)
    torch.testing.assert_close(lab_to_rgb(lab), images, atol=2e-5, rtol=0)


def test_color_diffusion(rungs: Rungs, textbook_rgb: ToRgb) -> None:
    """Tolerance: float32 CIELab times an amount of up to 12."""
    for amount, image, original in rungs("color_diffusion"):
        lab = rgb2lab(original)
        for channel in (1, 2):
            blurred = truncated_gaussian(lab[..., channel], 1.5 * amount + 2)
            lab[..., channel] = amount * blurred
        np.testing.assert_allclose(image, textbook_rgb(lab), atol=1e-3)


def test_color_saturation_2(rungs: Rungs, textbook_rgb: ToRgb) -> None:
    for factor, image, original in rungs("color_saturation_2"):
        lab = rgb2lab(original) * [1, factor, factor]
        np.testing.assert_allclose(image, textbook_rgb(lab), atol=1e-3)


def test_the_textbook_agrees_with_scikit_image_inside_the_gamut(
    originals: np.ndarray, textbook_rgb: ToRgb
) -> None:
    lab = rgb2lab(originals)
    np.testing.assert_allclose(textbook_rgb(lab), lab2rgb(lab), atol=3e-6)


def test_color_saturation_1(rungs: Rungs) -> None:
    """Through HSV itself; scikit-image's formula holds for negative saturation too."""
    for factor, image, original in rungs("color_saturation_1"):
        hsv = rgb2hsv(original)
        hsv[..., 1] *= factor
        np.testing.assert_allclose(image, np.clip(hsv2rgb(hsv), 0, 1), atol=1e-6)


@pytest.mark.parametrize("turn", [0.0, 0.1, 0.4, 0.77])
def test_color_shift(turn: float, rungs: Rungs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(color, "host_uniform", lambda shape, generator: torch.full(shape, turn))
    for amount, image, original in rungs("color_shift"):
        down = round(amount * math.sin(2 * math.pi * turn))
        right = round(amount * math.cos(2 * math.pi * turn))
        gray = original @ [0.299, 0.587, 0.114]
        dx = np.diff(gray, axis=1, append=gray[:, -1:])
        dy = np.diff(gray, axis=0, append=gray[-1:])
        edges = truncated_gaussian(np.hypot(dx, dy), 4.0)
        edges = (edges - edges.min()) / (edges.max() - edges.min())
        shifted = ndimage.shift(original[..., 1], (down, right), order=0, mode="nearest")
        expected = original.copy()
        expected[..., 1] += edges * (shifted - original[..., 1])
        np.testing.assert_allclose(image, expected, atol=2e-5)


def test_color_shift_leaves_a_flat_image_alone() -> None:
    flat = torch.full((2, 3, 40, 40), 0.4)
    done = color.color_shift(flat, torch.tensor([3.0, 12.0]), torch.Generator().manual_seed(0))
    torch.testing.assert_close(done, flat, atol=1e-6, rtol=0)
