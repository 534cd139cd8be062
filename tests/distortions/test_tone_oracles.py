"""Brightness and contrast against curves fitted to the published points (NumPy's polyfit)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from skimage.color import lab2rgb, rgb2lab

from shamisa_cli.distortions.registry import DISTORTIONS

AtLevels = Callable[..., np.ndarray]


def curve(values: np.ndarray, xs: list[float], ys: list[float]) -> np.ndarray:
    """The polynomial through the points, clamped to [0, 1]."""
    return np.clip(np.polyval(np.polyfit(xs, ys, len(xs) - 1), values), 0, 1)


def test_brighten(at_levels: AtLevels, originals: np.ndarray) -> None:
    for amount, images in zip(DISTORTIONS["brighten"].levels, at_levels("brighten"), strict=True):
        points = [0, 0.5, 1], [0, 0.5 + amount / 2, 1]
        lab = rgb2lab(originals)
        lab[..., 0] = 100 * curve(lab[..., 0] / 100, *points)
        expected = 2 / 3 * curve(originals, *points) + np.clip(lab2rgb(lab), 0, 1) / 3
        np.testing.assert_allclose(images, expected, atol=1e-4)


def test_darken(at_levels: AtLevels, originals: np.ndarray) -> None:
    for amount, images in zip(DISTORTIONS["darken"].levels, at_levels("darken"), strict=True):
        expected = curve(originals, [0, 0.5, 1], [0, 0.5 - amount / 2, 1])
        np.testing.assert_allclose(images, expected, atol=1e-6)


@pytest.mark.parametrize("sign", [1, -1])
def test_mean_shift(sign: int, at_levels: AtLevels, originals: np.ndarray) -> None:
    for amount, images in zip(
        DISTORTIONS["mean_shift"].levels, at_levels("mean_shift", sign), strict=True
    ):
        expected = np.clip(originals + sign * amount, 0, 1)
        np.testing.assert_allclose(images, expected, atol=1e-6)


def test_mean_shift_changes_nothing_at_its_mildest(
    at_levels: AtLevels, originals: np.ndarray
) -> None:
    for sign in (1, -1):
        assert np.array_equal(at_levels("mean_shift", sign)[0], originals)


@pytest.mark.parametrize("sign", [1, -1])
def test_linear_contrast_change(sign: int, at_levels: AtLevels, originals: np.ndarray) -> None:
    for level, images in zip(
        DISTORTIONS["linear_contrast_change"].levels,
        at_levels("linear_contrast_change", sign),
        strict=True,
    ):
        a = sign * level
        xs, ys = [0, 0.3, 0.5, 0.7, 1], [0, 0.25 - a / 4, 0.5, 0.75 + a / 4, 1]
        np.testing.assert_allclose(images, curve(originals, xs, ys), atol=2e-6)


def test_linear_contrast_change_never_falls() -> None:
    ramp = torch.linspace(0, 1, 1001).expand(1, 3, 1, 1001)
    distortion = DISTORTIONS["linear_contrast_change"]
    for native in np.linspace(-0.6, 0.6, 25):
        done = distortion.apply(ramp, torch.tensor([native]).float(), torch.Generator())
        assert float(done.clamp(0, 1).diff(dim=-1).min()) >= -1e-6


def test_nonlinear_contrast_change(at_levels: AtLevels, originals: np.ndarray) -> None:
    for half, images in zip(
        DISTORTIONS["nonlinear_contrast_change"].levels,
        at_levels("nonlinear_contrast_change"),
        strict=True,
    ):
        expected = np.interp(originals, [0, 1], [0.5 - half, 0.5 + half])
        np.testing.assert_allclose(images, expected, atol=1e-6)
