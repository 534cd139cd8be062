"""Spatial distortions against slow versions from their definitions (SciPy, loops)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from shamisa_cli.distortions import spatial
from shamisa_cli.distortions.registry import DISTORTIONS

Rungs = Callable[..., Iterator[tuple[float, np.ndarray, np.ndarray]]]


def test_jitter(crops: Tensor, originals: np.ndarray) -> None:
    """Displacements are (right, down) in px; tolerance of float32 coordinates over five rounds."""
    for sigma in DISTORTIONS["jitter"].levels:
        native = torch.full((2,), sigma)
        done = spatial.jitter(crops, native, torch.Generator().manual_seed(3))
        redrawn = torch.Generator().manual_seed(3)
        expected = originals
        rows, columns = np.mgrid[: crops.shape[2], : crops.shape[3]].astype(float)
        for _ in range(5):
            moves = sigma * torch.randn((2, *crops.shape[2:], 2), generator=redrawn).double()
            before, expected = expected, np.empty_like(expected)
            for n, move in enumerate(moves.numpy()):
                places = (rows + move[..., 1], columns + move[..., 0])
                for c in range(3):
                    expected[n, ..., c] = ndimage.map_coordinates(
                        before[n, ..., c], places, order=1, mode="nearest"
                    )
        np.testing.assert_allclose(done.permute(0, 2, 3, 1).numpy(), expected, atol=1e-4)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[np.ndarray]]:
    """The integers that the functions draw, in order, as they were drawn."""
    calls: list[np.ndarray] = []
    real = spatial.host_integers

    def recording(
        low: int, high: int, shape: tuple[int, ...], generator: torch.Generator
    ) -> Tensor:
        values = real(low, high, shape, generator)
        assert int(values.min()) >= low
        assert int(values.max()) <= high
        calls.append(values.numpy())
        return values

    monkeypatch.setattr(spatial, "host_integers", recording)
    return calls


def test_non_eccentricity_patch(
    crops: Tensor, originals: np.ndarray, drawn: list[np.ndarray]
) -> None:
    height, width = crops.shape[2:]
    for count in DISTORTIONS["non_eccentricity_patch"].levels:
        drawn.clear()
        done = spatial.non_eccentricity_patch(
            crops, torch.tensor([count, count // 2]), torch.Generator().manual_seed(1)
        )
        from_y, move_y, from_x, move_x = drawn
        assert np.abs(move_y).max() == np.abs(move_x).max() == 8
        for n, number in enumerate((int(count), int(count // 2))):
            expected = originals[n].copy()
            for k in range(number):
                y, x = from_y[n, k], from_x[n, k]
                to_y = np.clip(y + move_y[n, k], 0, height - 16)
                to_x = np.clip(x + move_x[n, k], 0, width - 16)
                expected[to_y : to_y + 16, to_x : to_x + 16] = originals[n][y : y + 16, x : x + 16]
            assert np.array_equal(done[n].permute(1, 2, 0).double().numpy(), expected)


def test_color_block(
    crops: Tensor, originals: np.ndarray, drawn: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    colors = np.random.default_rng(0).random((2, 3, 10)).astype(np.float32)
    monkeypatch.setattr(
        spatial, "host_uniform", lambda shape, g: torch.from_numpy(colors[..., : shape[2]])
    )
    for count in DISTORTIONS["color_block"].levels:
        drawn.clear()
        done = spatial.color_block(
            crops, torch.tensor([count, count // 2]), torch.Generator().manual_seed(2)
        )
        top, left = drawn
        for n, number in enumerate((int(count), int(count // 2))):
            expected = originals[n].copy()
            for k in range(number):
                y, x = top[n, k], left[n, k]
                expected[y : y + 32, x : x + 32] = colors[n, :, k]
            assert np.array_equal(done[n].permute(1, 2, 0).double().numpy(), expected)


def nearest(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """The pixel whose square holds the center of each new pixel, in exact fractions."""
    y, x = (
        [math.floor(Fraction(2 * i + 1, 2) * old / new) for i in range(new)]
        for old, new in zip(image.shape[:2], (height, width), strict=True)
    )
    return image[y][:, x]


def test_pixelate_is_nearest_down_and_up(rungs: Rungs, originals: np.ndarray) -> None:
    height, width = originals.shape[1:3]
    for s, image, original in rungs("pixelate"):
        factor = 0.95 - s**0.6
        small = nearest(original, round(height * factor), round(width * factor))
        assert np.array_equal(image, nearest(small, height, width))


def test_quantization(rungs: Rungs) -> None:
    """The nearest of n evenly spaced levels; at a tie either neighbor will do."""
    for count, image, original in rungs("quantization"):
        levels = np.linspace(0, 1, int(count))
        distance = np.abs(original[..., None] - levels)
        np.testing.assert_allclose(np.abs(image - original), distance.min(-1), atol=1e-6)
        assert np.abs(image[..., None] - levels).min(-1).max() < 1e-6
        assert len(np.unique(image)) <= count


@pytest.mark.parametrize("name", ["non_eccentricity_patch", "color_block"])
def test_squares_fit_images_smaller_than_they_are(name: str) -> None:
    tiny = torch.rand((1, 3, 9, 40), generator=torch.Generator().manual_seed(0))
    native = torch.tensor([DISTORTIONS[name].levels[0]])
    done = DISTORTIONS[name].apply(tiny, native, torch.Generator().manual_seed(0))
    assert done.shape == tiny.shape
