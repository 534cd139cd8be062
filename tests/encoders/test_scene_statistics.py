"""Scene statistics against a slow, obvious version, and against distributions of known shape."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage, optimize, special, stats
from torchvision.transforms.functional import pil_to_tensor

from shamisa_cli.encoders.config import ViewingProtocol
from shamisa_cli.encoders.encoder import Encoder
from shamisa_cli.encoders.features import FeatureExtractor
from shamisa_cli.encoders.scene_statistics import (
    SCENE_STATISTICS,
    asymmetric_fit,
    gaussian_fit,
    log_shape,
    luminance,
    map_statistics,
    moment_ratio,
    scene_statistics,
)
from shamisa_cli.models.config import ModelConfig
from shamisa_cli.models.store import load_encoder, save_encoder


@pytest.fixture(scope="module")
def crops(sample_photos: list[Image.Image]) -> torch.Tensor:
    """(2, 3, 96, 128), a crop of each sample photo."""
    pixels = [pil_to_tensor(photo)[:, 100:196, 200:328] for photo in sample_photos]
    return torch.stack(pixels).float() / 255


def ratio(shape: float) -> float:
    return special.gamma(2 / shape) ** 2 / (special.gamma(1 / shape) * special.gamma(3 / shape))


def solve_shape(value: float) -> float:
    if value <= ratio(0.2):
        return 0.2
    if value >= ratio(10):
        return 10
    return optimize.brentq(lambda shape: ratio(shape) - value, 0.2, 10)


def slow_statistics(crop: np.ndarray) -> list[float]:
    """The 72 numbers of one crop (3, H, W), from the papers' equations, by scipy and loops."""
    full = crop.astype(np.float64)
    _, height, width = full.shape
    even = full[:, : height // 2 * 2, : width // 2 * 2]
    half = even.reshape(3, height // 2, 2, width // 2, 2).mean((2, 4))
    luma, yellow_blue, red_green = [0.299, 0.587, 0.114], [0.30, 0.04, -0.35], [0.34, -0.60, 0.17]
    maps = [(full, luma), (half, luma), (half, yellow_blue), (half, red_green)]
    found: list[float] = []
    for x, weights in maps:
        y = np.tensordot(weights, x, 1)
        grid = np.arange(-3, 4)
        window = np.exp(-(grid[:, None] ** 2 + grid[None, :] ** 2) / (2 * (7 / 6) ** 2))
        window /= window.sum()
        mean = ndimage.correlate(y, window, mode="nearest")
        square = ndimage.correlate(y * y, window, mode="nearest")
        v = (y - mean) / (np.sqrt(np.maximum(square - mean**2, 0)) + 1 / 255)
        variance = (v**2).mean()
        found += [
            math.log(solve_shape(np.abs(v).mean() ** 2 / variance)),
            math.log(variance + 0.01),
        ]
        height, width = v.shape
        for dy, dx in ((0, 1), (1, 0), (1, 1), (1, -1)):
            p = np.array(
                [
                    v[i, j] * v[i + dy, j + dx]
                    for i in range(height - dy)
                    for j in range(width)
                    if 0 <= j + dx < width
                ]
            )
            counts = np.abs(p) / (np.abs(p) + 1e-4)  # nearly 1 each
            left = math.sqrt((p[p < 0] ** 2).sum() / counts[p < 0].sum())
            right = math.sqrt((p[p > 0] ** 2).sum() / counts[p > 0].sum())
            gamma = left / right
            r = np.abs(p).mean() ** 2 / (p**2).mean()
            r *= (gamma**3 + 1) * (gamma + 1) / (gamma**2 + 1) ** 2
            shape = solve_shape(r)
            scale = math.sqrt(special.gamma(1 / shape) * special.gamma(3 / shape))
            eta = (right - left) * special.gamma(2 / shape) / scale
            found += [math.log(shape), eta, math.log(left + 0.01), math.log(right + 0.01)]
    return found


def test_against_the_slow_version(crops: torch.Tensor) -> None:
    expected = torch.tensor([slow_statistics(crop.numpy()) for crop in crops])
    found = scene_statistics(crops)
    assert found.shape == (2, SCENE_STATISTICS)
    torch.testing.assert_close(found.double(), expected.double(), atol=2e-3, rtol=0)


def test_the_ratio_of_moments_is_that_of_scipys_distribution() -> None:
    for shape in (0.3, 1.0, 2.0, 8.0):
        distribution = stats.gennorm(shape)
        expected = distribution.expect(abs) ** 2 / distribution.var()
        assert float(moment_ratio(torch.tensor(shape, dtype=torch.float64))) == pytest.approx(
            expected, rel=1e-6
        )


@given(st.floats(0.2, 10))
@settings(deadline=None)
def test_the_lookup_inverts_the_ratio(shape: float) -> None:
    at = moment_ratio(torch.tensor(shape, dtype=torch.float64))
    assert float(log_shape(at)) == pytest.approx(math.log(shape), abs=1e-4)


@pytest.mark.parametrize("shape", [0.7, 1.0, 2.0])
def test_samples_of_a_known_distribution(shape: float) -> None:
    generator = np.random.default_rng(0)
    v = torch.from_numpy(stats.gennorm(shape).rvs(200_000, random_state=generator)).reshape(
        1, 400, 500
    )
    found, log_variance = gaussian_fit(v)[0].tolist()
    assert found == pytest.approx(math.log(shape), abs=0.02)
    assert log_variance == pytest.approx(math.log(stats.gennorm(shape).var() + 0.01), abs=0.02)
    both = torch.where(v < 0, 2 * v, v)
    keep = torch.rand(v.shape, generator=torch.Generator().manual_seed(0)) < torch.where(
        v < 0, 1.0, 0.5
    )
    skewed = both[keep][None, None]  # density as wide below as the spreads say: twice
    log_found, mean, below, above = asymmetric_fit(skewed)[0].tolist()
    assert log_found == pytest.approx(math.log(shape), abs=0.03)
    assert math.exp(below) / math.exp(above) == pytest.approx(2, rel=0.05)
    assert mean == pytest.approx(float(skewed.mean()), abs=0.05)


def test_flat_pictures_stay_finite() -> None:
    for value in (0.0, 0.5, 1.0):
        assert scene_statistics(torch.full((1, 3, 16, 16), value)).isfinite().all()
    assert scene_statistics(torch.zeros(1, 3, 4, 4)).isfinite().all()


def test_flat_places_do_not_follow_rounding(crops: torch.Tensor) -> None:
    """Another way to round (float64) finds the same, half a sky in the picture or not."""
    skies = crops.clone()
    skies[..., :64] = torch.tensor([0.29, 0.51, 0.87]).view(3, 1, 1)
    exact = map_statistics(luminance(skies.double()))
    torch.testing.assert_close(map_statistics(luminance(skies)).double(), exact, atol=1e-4, rtol=0)


def test_noise_and_blur_show(crops: torch.Tensor) -> None:
    generator = torch.Generator().manual_seed(0)
    noisy = (crops + 0.1 * torch.randn(crops.shape, generator=generator)).clamp(0, 1)
    blurred = torch.nn.functional.avg_pool2d(crops, 5, stride=1, padding=2)
    clean, noise, blur = (scene_statistics(x)[:, 0] for x in (crops, noisy, blurred))
    assert (noise > clean).all()
    assert (blur < clean).all()


def test_they_follow_h_and_leave_it_alone(crops: torch.Tensor) -> None:
    torch.manual_seed(0)
    encoder = Encoder.from_name("test_resnet").eval()
    beside = Encoder(encoder.backbone, statistics="scene").eval()
    assert beside.feature_size == encoder.feature_size + SCENE_STATISTICS
    features = beside(crops)
    torch.testing.assert_close(features[:, :-SCENE_STATISTICS], encoder(crops))
    torch.testing.assert_close(features[:, -SCENE_STATISTICS:], scene_statistics(crops))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_scoring_sees_them_exactly(precision: str, sample_photos: list[Image.Image]) -> None:
    torch.manual_seed(0)
    encoder = Encoder.from_name("test_resnet", statistics="scene").eval()
    protocol = ViewingProtocol(crops="whole", scales=(1.0,))
    extractor = FeatureExtractor(encoder, protocol, device="cpu", precision=precision)
    features = extractor.features(sample_photos[0])
    assert features.shape == (1, encoder.feature_size)
    expected = scene_statistics(pil_to_tensor(sample_photos[0])[None].float() / 255)
    torch.testing.assert_close(features[:, -SCENE_STATISTICS:], expected, atol=1e-4, rtol=0)


def test_a_model_folder_names_them(tmp_path: Path, crops: torch.Tensor) -> None:
    encoder = Encoder.from_name("test_resnet", statistics="scene").eval()
    config = ModelConfig("tiny", "test_resnet", encoder.feature_size, statistics="scene")
    save_encoder(tmp_path, encoder, config)
    loaded, _ = load_encoder(tmp_path)
    torch.testing.assert_close(loaded(crops), encoder(crops), atol=5e-3, rtol=0)
