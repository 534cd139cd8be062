"""Brightness and contrast against curves fitted to the published points (NumPy's polyfit)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from skimage.color import lab2rgb, rgb2lab

from shamisa_cli.distortions.registry import DISTORTIONS

Rungs = Callable[..., Iterator[tuple[float, np.ndarray, np.ndarray]]]


def curve(values: np.ndarray, xs: list[float], ys: list[float]) -> np.ndarray:
    """The polynomial through the points, clamped to [0, 1]."""
    return np.clip(np.polyval(np.polyfit(xs, ys, len(xs) - 1), values), 0, 1)


def test_brighten(rungs: Rungs) -> None:
    for amount, image, original in rungs("brighten"):
        points = [0, 0.5, 1], [0, 0.5 + amount / 2, 1]
        lab = rgb2lab(original)
        lab[..., 0] = 100 * curve(lab[..., 0] / 100, *points)
        expected = 2 / 3 * curve(original, *points) + np.clip(lab2rgb(lab), 0, 1) / 3
        np.testing.assert_allclose(image, expected, atol=1e-4)


def test_darken(rungs: Rungs) -> None:
    for amount, image, original in rungs("darken"):
        expected = curve(original, [0, 0.5, 1], [0, 0.5 - amount / 2, 1])
        np.testing.assert_allclose(image, expected, atol=1e-6)


@pytest.mark.parametrize("sign", [1, -1])
def test_mean_shift(sign: int, rungs: Rungs) -> None:
    for amount, image, original in rungs("mean_shift", sign):
        expected = np.clip(original + sign * amount, 0, 1)
        np.testing.assert_allclose(image, expected, atol=1e-6 if amount else 0)


@pytest.mark.parametrize("sign", [1, -1])
def test_linear_contrast_change(sign: int, rungs: Rungs) -> None:
    for level, image, original in rungs("linear_contrast_change", sign):
        a = sign * level
        xs, ys = [0, 0.3, 0.5, 0.7, 1], [0, 0.25 - a / 4, 0.5, 0.75 + a / 4, 1]
        np.testing.assert_allclose(image, curve(original, xs, ys), atol=2e-6)


def test_linear_contrast_change_never_falls() -> None:
    ramp = torch.linspace(0, 1, 1001).expand(1, 3, 1, 1001)
    distortion = DISTORTIONS["linear_contrast_change"]
    for native in np.linspace(-0.6, 0.6, 25):
        done = distortion.apply(ramp, torch.tensor([native]).float(), torch.Generator())
        assert float(done.clamp(0, 1).diff(dim=-1).min()) >= -1e-6


def test_nonlinear_contrast_change(rungs: Rungs) -> None:
    for half, image, original in rungs("nonlinear_contrast_change"):
        expected = np.interp(original, [0, 1], [0.5 - half, 0.5 + half])
        np.testing.assert_allclose(image, expected, atol=1e-6)
