"""Severity ladders: only severity differs, and the figures mean what they say."""

from __future__ import annotations

import math
from dataclasses import astuple
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import spearmanr

from shamisa_cli.distortions.pictures import LEVELS, ladder_images
from shamisa_cli.distortions.registry import DISTORTIONS
from shamisa_cli.encoders.config import ViewingProtocol
from shamisa_cli.encoders.encoder import Encoder
from shamisa_cli.errors import PhotoError
from shamisa_cli.evaluation.frozen_encoder import FrozenEncoder
from shamisa_cli.ladders.extract import extract_ladders as extract_all_ladders
from shamisa_cli.ladders.ladder import LadderResult, Ladders, evaluate_ladders, ladder_cells


def extract_ladders(frozen: FrozenEncoder, photos: list[Path], **options: int) -> Ladders:
    return extract_all_ladders(frozen, photos, pytest.fail, **options)


@pytest.fixture(scope="module")
def small(sample_photos: list[Image.Image]) -> Image.Image:
    return sample_photos[0].resize((96, 64))


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return Encoder.from_name("test_resnet").eval()


def frozen_with(encoder: Encoder, **options: Any) -> FrozenEncoder:
    protocol = ViewingProtocol(short_side=64, crop=64)
    return FrozenEncoder("tiny", encoder, protocol, device="cpu", precision="fp32", **options)


@pytest.fixture
def photos(tmp_path: Path, sample_photos: list[Image.Image]) -> list[Path]:
    paths = [tmp_path / "china.png", tmp_path / "flower.png"]
    for path, photo in zip(paths, sample_photos, strict=True):
        photo.resize((120, 80)).save(path)
    return paths


def _pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(float)


@pytest.mark.parametrize("name", ["gaussian_blur", "jpeg", "white_noise", "pixelate", "darken"])
def test_distance_from_the_photo_grows_with_the_level(small: Image.Image, name: str) -> None:
    rungs = ladder_images(small, name, seed=4)
    distances = [np.abs(_pixels(rung) - _pixels(small)).mean() for rung in rungs]
    assert len(rungs) == len(LEVELS)
    assert all(a < b for a, b in pairwise(distances))


def test_draws_are_the_same_at_every_level(small: Image.Image) -> None:
    gray = Image.new("RGB", small.size, (128, 128, 128))
    mild, *_, strong = ladder_images(gray, "white_noise", seed=5)
    a, b = (_pixels(rung).ravel() - 128 for rung in (mild, strong))
    assert np.corrcoef(a, b)[0, 1] > 0.99
    other = _pixels(ladder_images(gray, "white_noise", seed=6)[-1]).ravel() - 128
    assert abs(np.corrcoef(b, other)[0, 1]) < 0.1


def test_the_seed_decides_the_sign(small: Image.Image) -> None:
    dark, light = (ladder_images(small, "mean_shift", seed)[-1] for seed in (1, 2))
    assert _pixels(dark).mean() < _pixels(small).mean() < _pixels(light).mean()


def test_ladders_of_photos(encoder: Encoder, photos: list[Path]) -> None:
    frozen = frozen_with(encoder)
    ladders = extract_ladders(frozen, photos, per_photo=3)
    assert ladders.features.shape == (6, 5, 2 * frozen.encoder.feature_size)
    assert ladders.distortions == tuple(DISTORTIONS)[:6]
    assert ladders.photos == (photos[0],) * 3 + (photos[1],) * 3
    alone = extract_ladders(frozen, photos[:1], per_photo=3)
    torch.testing.assert_close(alone.features, ladders.features[:3], rtol=0, atol=0)
    kept = ladders.select([photo == photos[1] for photo in ladders.photos])
    torch.testing.assert_close(kept.features, ladders.features[3:])
    assert kept.distortions == ladders.distortions[3:]


def test_distorting_ahead_and_the_cache_change_nothing(
    encoder: Encoder, photos: list[Path], tmp_path: Path
) -> None:
    plain = extract_ladders(frozen_with(encoder, workers=0), photos, per_photo=2)
    ahead = extract_ladders(frozen_with(encoder, workers=3), photos[:1])
    assert torch.equal(ahead.features[:2], plain.features[:2])
    assert ahead.distortions == tuple(DISTORTIONS)
    cached = frozen_with(encoder, cache=tmp_path / "cache")
    first, second = (extract_ladders(cached, photos, per_photo=2) for _ in range(2))
    assert torch.equal(first.features, plain.features)
    assert torch.equal(second.features, plain.features)
    assert len(list((tmp_path / "cache").rglob("*.safetensors"))) == 4
    other = extract_ladders(cached, photos, per_photo=2, seed=1)
    assert not torch.equal(other.features, plain.features)


def test_a_damaged_photo_is_named_and_left_out(
    encoder: Encoder, photos: list[Path], tmp_path: Path
) -> None:
    frozen = frozen_with(encoder)
    path = tmp_path / "broken.png"
    path.write_bytes(b"no picture")
    errors: list[PhotoError] = []
    ladders = extract_all_ladders(
        frozen,
        [photos[0], path, tmp_path / "absent.png", photos[1]],
        errors.append,
        per_photo=1,
    )
    assert ladders.photos == tuple(photos)
    expected = extract_ladders(frozen, photos, per_photo=1)
    assert torch.equal(ladders.features, expected.features)
    assert [str(error).count("broken.png") for error in errors] == [1, 0]
    assert "absent.png" in str(errors[1])


def test_figures_by_distortion_and_of_all() -> None:
    falling, half = [90.0, 70, 50, 30, 10], [50.0, 60, 40, 45, 20]
    scores = np.array([falling, falling[::-1], [3.0] * 5, half, falling])
    damage = np.array([[0.1, 0.2, 0.3, 0.4, 0.5]] * 5)
    names = ["jpeg", "darken", "pixelate", "lens_blur", "darken"]
    results = evaluate_ladders(scores, damage, names)
    pooled = spearmanr(scores.ravel(), -damage.ravel()).statistic
    expected = {
        "all": (5, (1 + 0 + 0 + 0.5 + 1) / 5, (1 - 1 + 0 + 0.6 + 1) / 5, pooled),
        "jpeg": (1, 1.0, 1.0, 1.0),
        "darken": (2, 0.5, 0.0, 0.0),
        "pixelate": (1, 0.0, 0.0, math.nan),
        "lens_blur": (1, 0.5, 0.6, 0.8),
    }
    found = {name: astuple(result) for name, result in results.items()}
    assert found == {k: pytest.approx(v, nan_ok=True) for k, v in expected.items()}
    table = ladder_cells({"all": LadderResult(2, 0.75, -0.5, 0.25)})
    assert table[1] == ["all", "2", "0.750", "-0.500", "+0.250"]
