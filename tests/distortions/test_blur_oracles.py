"""Blurs and over-sharpening against slow versions from their definitions (SciPy, scikit-image)."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from scipy import integrate, ndimage
from skimage.color import rgb2lab

from shamisa_cli.distortions import blur

Rungs = Callable[..., Iterator[tuple[float, np.ndarray, np.ndarray]]]
AtLevels = Callable[..., np.ndarray]


def correlate(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Every channel with ``kernel``, borders replicated."""
    return np.stack(
        [ndimage.correlate(image[..., c], kernel, mode="nearest") for c in range(image.shape[-1])],
        axis=-1,
    )


def gaussian_kernel(sigma: float, radius: int | None = None) -> np.ndarray:
    radius = math.ceil(2 * sigma) if radius is None else radius
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    kernel = np.exp(-(x**2 + y**2) / (2 * sigma**2))
    return kernel / kernel.sum()


def test_gaussian_blur(rungs: Rungs) -> None:
    for sigma, image, original in rungs("gaussian_blur"):
        expected = correlate(original, gaussian_kernel(sigma))
        np.testing.assert_allclose(image, expected, atol=2e-6)


@functools.cache
def disk_kernel(radius: int) -> np.ndarray:
    """How much of each pixel the disk covers, by integrating its chords over the pixel's rows."""

    def covered(x: int, y: int) -> float:
        def chord(v: float) -> float:
            half = math.sqrt(max(radius**2 - v**2, 0))
            return max(0.0, min(x + 0.5, half) - max(x - 0.5, -half))

        return integrate.quad(chord, y - 0.5, y + 0.5, limit=200)[0]

    side = range(radius + 1)
    quarter = np.array([[covered(x, y) for x in side] for y in side])
    half = np.concatenate([quarter[:0:-1], quarter])
    full = np.concatenate([half[:, :0:-1], half], axis=1)
    return full / full.sum()


@pytest.mark.filterwarnings("ignore::scipy.integrate.IntegrationWarning")
def test_lens_blur(rungs: Rungs) -> None:
    for radius, image, original in rungs("lens_blur"):
        expected = correlate(original, disk_kernel(int(radius)))
        np.testing.assert_allclose(image, expected, atol=1e-5)


@functools.cache
def line_kernel(length: float, angle: float) -> np.ndarray:
    """1 minus the distance to the segment, at least 0, by brute force over its points."""
    radius = math.ceil((length - 1) / 2)
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1].astype(float)
    along = np.linspace(-(length - 1) / 2, (length - 1) / 2, 20_001)
    points = np.stack([along * np.cos(angle), -along * np.sin(angle)])
    distance = np.min(np.hypot(x[..., None] - points[0], y[..., None] - points[1]), axis=-1)
    kernel = np.maximum(1 - distance, 0)
    return kernel / kernel.sum()


@pytest.mark.parametrize("part", [0.0, 0.21, 0.5, 0.83])
def test_motion_blur(part: float, rungs: Rungs, monkeypatch: pytest.MonkeyPatch) -> None:
    """The angle is counter-clockwise on the screen; tolerance of the brute-force distance."""
    monkeypatch.setattr(blur, "host_uniform", lambda shape, generator: torch.full(shape, part))
    for length, image, original in rungs("motion_blur"):
        expected = correlate(original, line_kernel(length, part * math.pi))
        np.testing.assert_allclose(image, expected, atol=5e-4)


def test_motion_blur_draws_an_angle_for_each_image(at_levels: AtLevels) -> None:
    images = at_levels("motion_blur")[4]
    other = at_levels("motion_blur", seed=1)[4]
    assert np.abs(images - other).max() > 0.05


def test_high_sharpen(rungs: Rungs, textbook_rgb: Callable[[np.ndarray], np.ndarray]) -> None:
    """Tolerance: float32 CIELab times an amount of up to 12."""
    window = gaussian_kernel(6.0, radius=6)
    assert window.shape == (13, 13)
    for amount, image, original in rungs("high_sharpen"):
        lab = rgb2lab(original)
        lightness = lab[..., 0]
        detail = lightness - ndimage.correlate(lightness, window, mode="nearest")
        lab[..., 0] = np.clip(lightness + amount * detail, 0, 100)
        np.testing.assert_allclose(image, textbook_rgb(lab), atol=1e-3)
