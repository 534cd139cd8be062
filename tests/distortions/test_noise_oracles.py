"""Noise: the statistics of what was added, against the definitions, at all five levels.

The functions are called without the clamp, so that the residual is the noise itself.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats
from skimage.color import rgb2ycbcr
from torch import Tensor

from shamisa_cli.distortions.registry import DISTORTIONS

Residual = Callable[[str, float], np.ndarray]


@pytest.fixture(scope="module")
def photo(sample_photos: list[Image.Image]) -> Tensor:
    """(1, 3, 427, 640), a whole photo: enough pixels for tight statistics."""
    array = np.array(sample_photos[0])
    return torch.from_numpy(array).permute(2, 0, 1)[None].contiguous().float() / 255


@pytest.fixture(scope="module")
def distorted(photo: Tensor) -> Callable[[str, float], np.ndarray]:
    def apply(name: str, native: float) -> np.ndarray:
        generator = torch.Generator().manual_seed(7)
        done = DISTORTIONS[name].apply(photo, torch.tensor([native]), generator)
        return done[0].permute(1, 2, 0).double().numpy()

    return apply


def assert_white_gaussian(noise: np.ndarray, variance: float) -> None:
    """Zero mean, the variance to 1 %, Gaussian to the fourth moment, neighbors uncorrelated."""
    n = noise.size
    assert abs(noise.mean()) < 4 * np.sqrt(variance / n)
    assert noise.var() == pytest.approx(variance, rel=0.01)
    assert abs(stats.skew(noise.ravel())) < 5 * np.sqrt(6 / n)
    assert abs(stats.kurtosis(noise.ravel())) < 5 * np.sqrt(24 / n)
    for axis in range(noise.ndim):
        ahead, behind = np.delete(noise, 0, axis), np.delete(noise, -1, axis)
        assert abs(np.corrcoef(ahead.ravel(), behind.ravel())[0, 1]) < 5 / np.sqrt(ahead.size)


def test_white_noise(photo: Tensor, distorted: Residual) -> None:
    for variance in DISTORTIONS["white_noise"].levels:
        noise = distorted("white_noise", variance) - photo[0].permute(1, 2, 0).numpy()
        assert_white_gaussian(noise, variance)


def test_white_noise_cc(photo: Tensor, distorted: Residual) -> None:
    """In full-range YCbCr (scikit-image's studio range, unscaled) the noise is white."""
    original = photo[0].permute(1, 2, 0).double().numpy()
    full_range = np.array([219.0, 224.0, 224.0])
    for variance in DISTORTIONS["white_noise_cc"].levels:
        change = rgb2ycbcr(distorted("white_noise_cc", variance)) - rgb2ycbcr(original)
        assert_white_gaussian(change / full_range, variance)


def test_multiplicative_noise(photo: Tensor, distorted: Residual) -> None:
    original = photo[0].permute(1, 2, 0).double().numpy()
    safe = np.where(original > 0.1, original, np.nan)
    for variance in DISTORTIONS["multiplicative_noise"].levels:
        done = distorted("multiplicative_noise", variance)
        relative = ((done - original) / safe)[np.isfinite(safe)]
        assert relative.var() == pytest.approx(variance, rel=0.01)
        assert abs(relative.mean()) < 4 * np.sqrt(variance / relative.size)
        assert abs(stats.kurtosis(relative)) < 5 * np.sqrt(24 / relative.size)
        assert np.all(done[original == 0] == 0)


def test_impulse_noise_has_salt_and_pepper(photo: Tensor, distorted: Residual) -> None:
    """Half and half, each within 5 standard deviations of a binomial; the rest is untouched."""
    original = photo[0].permute(1, 2, 0).double().numpy()
    inner = (original > 0) & (original < 1)
    n = inner.sum()
    for density in DISTORTIONS["impulse_noise"].levels:
        done = distorted("impulse_noise", density)
        for value in (0.0, 1.0):
            hit = np.sum(done[inner] == value)
            spread = np.sqrt(n * density / 2 * (1 - density / 2))
            assert abs(hit - n * density / 2) < 5 * spread
        kept = inner & (done != 0) & (done != 1)
        assert np.array_equal(done[kept], original[kept])
        assert kept.sum() == n - np.sum(inner & ((done == 0) | (done == 1)))


def test_impulse_noise_hits_channels_independently(photo: Tensor, distorted: Residual) -> None:
    changed = distorted("impulse_noise", 0.03) != photo[0].permute(1, 2, 0).double().numpy()
    all_three = changed.all(axis=-1).mean()
    assert all_three < 10 * 0.03**3


@pytest.mark.parametrize(
    "name", ["white_noise", "white_noise_cc", "impulse_noise", "multiplicative_noise"]
)
def test_images_of_a_batch_get_noise_of_their_own(name: str) -> None:
    gray = torch.full((2, 3, 64, 64), 0.5)
    native = torch.full((2,), DISTORTIONS[name].levels[4])
    one, two = DISTORTIONS[name].apply(gray, native, torch.Generator().manual_seed(0))
    assert not torch.equal(one, two)
