"""What is promised of the bundled models' scores: what nobody sees hardly moves them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import spearmanr
from torchvision.transforms.functional import pil_to_tensor, to_pil_image

import shamisa_cli
from shamisa_cli.distortions.apply import apply_distortion
from shamisa_cli.distortions.registry import DISTORTIONS
from shamisa_cli.encoders.precision import has_fast_bf16
from shamisa_cli.models.names import bundled_models
from shamisa_cli.scoring import Scorer

ONE_POINT = 1.0
STRONG = {"duo": 48, "lite0": 48, "fast": 60}
"""Under which strong damage scores on average; at the 320 px of ``fast`` less of it is left."""


@pytest.fixture(scope="module", params=bundled_models())
def scorer(request: pytest.FixtureRequest) -> Scorer:
    return shamisa_cli.load(request.param, device="cpu", precision="fp32")


@pytest.fixture(scope="module")
def photos(sample_photos: list[Image.Image]) -> list[Image.Image]:
    """The samples as they are, then under every third distortion, mild and strong in turn."""
    generator = torch.Generator().manual_seed(0)
    found = list(sample_photos)
    for name in list(DISTORTIONS)[::3]:
        for photo in sample_photos:
            pixels = (pil_to_tensor(photo).float() / 255).expand(2, -1, -1, -1)
            made = apply_distortion(pixels, name, torch.tensor([0.3, 0.9]), generator)
            found += [to_pil_image(picture) for picture in made]
    return found


def scores(scorer: Scorer, photos: list[Image.Image]) -> np.ndarray:
    return np.array([row.score for row in scorer.score_many(photos)])


@pytest.fixture(scope="module")
def exact(scorer: Scorer, photos: list[Image.Image]) -> np.ndarray:
    return scores(scorer, photos)


def test_good_photos_score_high_and_damaged_ones_low(scorer: Scorer, exact: np.ndarray) -> None:
    as_they_are, mild, strong = exact[:2], exact[2::2], exact[3::2]
    assert as_they_are.min() > 60
    assert as_they_are.mean() > mild.mean() > strong.mean()
    assert strong.mean() < STRONG[scorer.model.partition("@")[0]]


@pytest.mark.skipif(not has_fast_bf16(torch.device("cpu")), reason="this CPU has no bf16")
def test_bf16_moves_no_score_by_a_point(
    scorer: Scorer, photos: list[Image.Image], exact: np.ndarray
) -> None:
    name = scorer.model.partition("@")[0]
    rounded = scores(shamisa_cli.load(name, device="cpu", precision="bf16"), photos)
    assert np.ptp(exact) > 20  # they differ enough for ranks to mean something
    assert np.abs(exact - rounded).max() < ONE_POINT
    assert spearmanr(exact, rounded).statistic > 0.995


@pytest.fixture(scope="module")
def large(sample_photos: list[Image.Image], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The samples as JPEGs of 12 MP with the grain of a camera."""
    generator, folder = np.random.default_rng(0), tmp_path_factory.mktemp("large")
    paths = [folder / f"{number}.jpg" for number in range(len(sample_photos))]
    for photo, path in zip(sample_photos, paths, strict=True):
        size = (4000, 2668)
        grain = generator.normal(0, 5, (2668, 4000, 1))
        noisy = np.asarray(photo.resize(size, Image.Resampling.BICUBIC)) + grain
        Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(path, quality=92)
    return paths


def test_draft_mode_moves_no_score_by_two_points(scorer: Scorer, large: list[Path]) -> None:
    """12-MP JPEGs decoded in draft mode and in full."""
    for path in large:
        in_full = Image.open(io.BytesIO(path.read_bytes()))
        difference = scorer.score(path).score - scorer.score(in_full).score  # type: ignore[operator]
        assert abs(difference) < 2 * ONE_POINT
