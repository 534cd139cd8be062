"""Close-ups: what shrinking hides from the score of a large photo."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image, ImageFilter

from shamisa_cli.errors import PhotoError
from shamisa_cli.imaging.closeup import sharpest_boxes
from shamisa_cli.scoring import Scorer, load
from shamisa_cli.scoring.close_ups import close_up, close_ups


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    """Looks at 320 px."""
    return load("fast", device="cpu", precision="fp32")


@pytest.fixture
def saved(tmp_path: Path, sample_photos: list[Image.Image]) -> list[Path]:
    """Four photos of 1280×854 px: a sharp one of four copies, and blurred at full size."""
    small = sample_photos[0]
    photo = Image.new("RGB", (2 * small.width, 2 * small.height))
    for left in (0, small.width):
        for top in (0, small.height):
            photo.paste(small, (left, top))
    paths = []
    for n, radius in enumerate((0, 0.7, 1.2, 2)):
        paths.append(tmp_path / f"{n}.png")
        photo.filter(ImageFilter.GaussianBlur(radius)).save(paths[-1])
    return paths


def test_a_slight_blur_costs_more_close_up(scorer: Scorer, saved: list[Path]) -> None:
    scores = [scorer.score(path).score for path in saved]
    near = [value for _, value in close_ups(scorer, map(str, saved)) if value is not None]
    assert near == sorted(near, reverse=True)
    assert near[0] - near[2] > 20
    assert near[0] - near[2] > 2 * (scores[0] - scores[2])


def test_it_is_the_mean_score_of_the_sharpest_places(scorer: Scorer, saved: list[Path]) -> None:
    photo = Image.open(saved[0])
    places = [scorer.score(photo.crop(box)).score for box in sharpest_boxes(photo, 320, 3)]
    assert close_up(scorer, str(saved[0])) == pytest.approx(sum(places) / 3, abs=1e-4)


def test_a_photo_that_is_seen_at_full_size_has_its_score(
    scorer: Scorer, tmp_path: Path, sample_photos: list[Image.Image]
) -> None:
    path = tmp_path / "small.png"
    sample_photos[0].resize((400, 300)).save(path)
    assert close_up(scorer, str(path)) == scorer.score(path).score


def test_one_that_cannot_be_read_stops_no_other(
    scorer: Scorer, tmp_path: Path, sample_photos: list[Image.Image]
) -> None:
    good, bad = tmp_path / "good.png", tmp_path / "bad.png"
    sample_photos[0].resize((400, 300)).save(good)
    bad.write_bytes(good.read_bytes()[:900])
    found = dict(close_ups(scorer, [str(bad), str(good)]))
    assert found[str(bad)] is None
    assert found[str(good)] is not None
    with pytest.raises(PhotoError, match=r"bad\.png"):
        close_up(scorer, str(bad))
