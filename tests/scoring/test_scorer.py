"""The Scorer and the Python API: the same score whatever happens around a photo."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import shamisa_cli
from shamisa_cli.encoders.config import ViewingProtocol
from shamisa_cli.encoders.regions import Regions
from shamisa_cli.errors import PhotoError, UsageError, WeightsError
from shamisa_cli.models.config import ModelConfig
from shamisa_cli.models.heads import load_head
from shamisa_cli.models.weights import encode_weights, read_weights
from shamisa_cli.scoring import Score, Scorer
from shamisa_cli.scoring.loading import adapt_protocol, fingerprint


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory, sample_photos: list[Image.Image]) -> list[str]:
    """Nine photos of several sizes and formats; the fifth is damaged."""
    folder = tmp_path_factory.mktemp("photos")
    paths = []
    for n, width in enumerate((640, 320, 150, 900, 640, 500, 640, 80, 1300)):
        photo = sample_photos[n % 2].resize((width, width * 2 // 3))
        path = folder / f"{n}.{('jpg', 'png', 'webp')[n % 3]}"
        photo.save(path)
        paths.append(str(path))
    damaged = Path(paths[4])
    damaged.write_bytes(damaged.read_bytes()[:3000])
    return paths


def load(model: Path, **options: object) -> Scorer:
    return shamisa_cli.load(str(model), device="cpu", precision="fp32", **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def scorer(tiny_model: Path) -> Scorer:
    return load(tiny_model)


@pytest.fixture(scope="module")
def scores(scorer: Scorer, photos: list[str]) -> list[Score]:
    return list(scorer.score_many(photos))


def test_one_damaged_photo_does_not_stop_the_others(
    scorer: Scorer, scores: list[Score], photos: list[str]
) -> None:
    assert scorer.score(photos[0]) == scores[0]
    assert scorer.score(Path(photos[1])) == scores[1]
    with pytest.raises(PhotoError, match=r"4\.png: damaged or truncated"):
        scorer.score(photos[4])
    assert [score.path for score in scores] == photos
    assert [score.failed for score in scores] == [n == 4 for n in range(9)]
    assert "damaged or truncated" in scores[4].error
    assert photos[4] not in scores[4].error  # the row has a column for it
    assert (scores[4].score, scores[4].width, scores[4].raw) == (None, None, None)
    assert all(0 <= score.score <= 100 for score in scores if score.score is not None)
    assert len({score.score for score in scores}) > 4


def test_the_facts_of_a_score(scores: list[Score], scorer: Scorer, tiny_model: Path) -> None:
    large, middle, small = scores[8], scores[5], scores[2]
    assert (large.width, large.height) == (1300, 866)
    assert (large.scored_width, large.scored_height) == (769, 512)
    assert not large.padded
    assert (middle.scored_width, middle.scored_height) == (500, 333)
    assert middle.padded  # 166 px at half scale
    assert small.status.startswith("padded")
    assert large.model == scorer.model
    assert large.model.startswith("tiny@")
    assert large.head == "toy"
    assert large.head_info == load_head(tiny_model, "toy").info
    assert large.head_info is not None
    low, high = large.head_info.score_range
    assert large.raw is not None
    assert large.clipped is not (low <= large.raw <= high)


@pytest.mark.parametrize(("workers", "batch_size"), [(0, 1), (1, 4), (4, 1), (3, 100)])
def test_workers_batch_size_and_order_leave_no_trace(
    tiny_model: Path, photos: list[str], scores: list[Score], workers: int, batch_size: int
) -> None:
    other = load(tiny_model, workers=workers, batch_size=batch_size)
    assert list(other.score_many(photos[::-1])) == scores[::-1]


@pytest.mark.parametrize("threads", [1, 3])
def test_the_number_of_torch_threads_leaves_no_trace_and_stays(
    tiny_model: Path, photos: list[str], scores: list[Score], threads: int
) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        for workers in (0, 2):
            scorer = load(tiny_model, workers=workers)
            assert list(scorer.score_many(photos)) == scores
            assert scorer.score(photos[0]) == scores[0]
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


def test_passes_as_on_an_accelerator_leave_no_trace(tiny_model: Path, photos: list[str]) -> None:
    """Three photos a pass, filled up where there are fewer; a failed one in between."""
    some = [photos[n] for n in (1, 2, 4, 3)]
    rows = []
    for batch_size in (1, 2, 4):
        scorer = load(tiny_model, batch_size=batch_size)
        scorer.extractor.photos_per_pass = 3
        rows.append(list(scorer.score_many(some)))
    assert rows[0] == rows[1] == rows[2]
    assert [row.failed for row in rows[0]] == [False, False, True, False]


def test_paths_images_and_arrays_give_the_same(
    scorer: Scorer, tmp_path: Path, sample_photos: list[Image.Image]
) -> None:
    path = tmp_path / "photo.png"
    photo = sample_photos[0].resize((700, 500))
    photo.save(path)
    pixels = np.asarray(photo)
    expected = scorer.score(path)
    alike: list = [photo, Image.open(path), pixels, pixels / 255.0, pixels.astype("uint16") * 257]
    for score in scorer.score_many(alike):
        assert score.score == expected.score
        assert (score.path, score.width, score.height) == ("", 700, 500)


def test_an_image_with_orientation_counts_upright_and_stays_as_it_is(
    scorer: Scorer, sample_photos: list[Image.Image]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    sample_photos[0].save(file, "PNG", exif=exif)
    upright = sample_photos[0].transpose(Image.Transpose.ROTATE_270)
    stored = Image.open(file)
    assert scorer.score(stored).score == scorer.score(upright).score
    assert stored == Image.open(file)
    assert stored.getexif()[0x0112] == 6
    assert stored.info == Image.open(file).info
    in_memory = sample_photos[0].copy()
    in_memory.getexif()[0x0112] = 6
    assert scorer.score(in_memory).score == scorer.score(upright).score


def test_the_fingerprint_changes_with_what_decides_a_score(tiny_model: Path) -> None:
    config, head = ModelConfig.load(tiny_model / "config.json"), load_head(tiny_model, "toy")

    def of(**changes: Any) -> str:
        return fingerprint(tiny_model, replace(config, **changes), config.protocol, head)

    other = Regions((2.0,))
    assert of() == of(name="other") == of(regions=other)  # weights of maps that nobody reads
    assert len({of(), of(pooling="regions"), of(pooling="regions", regions=other)}) == 3


@pytest.mark.parametrize(
    ("photo", "error"),
    [
        (np.zeros((4, 4, 2), np.uint8), PhotoError),
        (np.zeros((0, 4, 3), np.uint8), PhotoError),
        (np.zeros((4,), np.uint8), PhotoError),
        (np.full((4, 4, 3), 200.0), PhotoError),
        (np.full((4, 4, 3), np.nan), PhotoError),
        (np.zeros((4, 4, 3), np.int64), PhotoError),
        (5, TypeError),
    ],
)
def test_what_is_no_photo(scorer: Scorer, photo: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="expected"):
        scorer.score(photo)


def test_photos_are_read_lazily_and_only_a_few_ahead(tiny_model: Path, photos: list[str]) -> None:
    asked = 0

    def endless() -> Iterator[str]:
        nonlocal asked
        while True:
            asked += 1
            yield photos[2]

    rows = load(tiny_model, workers=2).score_many(endless())
    for _ in range(3):
        next(rows)
    assert asked <= 3 + 2 * 2 + 2
    rows.close()  # type: ignore[attr-defined]


def test_viewing_sizes(tiny_model: Path, photos: list[str]) -> None:
    def looked_at(**options: object) -> tuple[int | None, int | None]:
        row = load(tiny_model, **options).score(photos[8])
        return row.scored_width, row.scored_height

    assert looked_at(short_side=300) == (450, 300)
    assert looked_at(max_side=650) == (650, 433)
    assert looked_at(native=True) == (1300, 866)
    assert looked_at(crops="whole") == (769, 512)
    (row,) = load(tiny_model, max_pixels=300_000).score_many(photos[8:])
    assert "over the cap of 0.3 MP" in row.error


def test_native_rows_are_the_same_in_any_company(tiny_model: Path, photos: list[str]) -> None:
    native = load(tiny_model, native=True, workers=3)
    together = list(native.score_many(photos[4:]))
    assert [row.failed for row in together] == [n == 4 for n in range(4, 9)]
    assert native.score(photos[8]) == together[-1]


def test_the_model_column_tells_what_was_scored_alike(tiny_model: Path, tmp_path: Path) -> None:
    names = {load(tiny_model, **o).model for o in ({}, {"workers": 1}, {"batch_size": 7})}
    assert len(names) == 1
    for options in ({"short_side": 300}, {"native": True}, {"crops": "whole"}):
        names.add(load(tiny_model, **options).model)
    assert len(names) == 4
    copy = tmp_path / "copy"
    shutil.copytree(tiny_model, copy)
    assert load(copy).model in names
    weights = read_weights(copy)
    next(t for t in weights.values() if t.is_floating_point()).view(-1)[0] += 0.01
    (copy / "model.safetensors").write_bytes(encode_weights(weights))
    assert load(copy).model not in names


def test_a_model_without_a_head(tiny_model: Path, tmp_path: Path) -> None:
    headless = tmp_path / "headless"
    shutil.copytree(tiny_model, headless, ignore=shutil.ignore_patterns("heads"))
    config = ModelConfig.load(headless / "config.json")
    (headless / "config.json").write_bytes(replace(config, default_head="").encode())
    with pytest.raises(WeightsError, match=r"no head yet.*shamisa fit"):
        load(headless)


@pytest.mark.parametrize("options", [{"workers": -1}, {"batch_size": 0}, {"max_pixels": 0}])
def test_invalid_options(tiny_model: Path, options: dict[str, int]) -> None:
    with pytest.raises(UsageError, match=f"{next(iter(options))} must be at least"):
        load(tiny_model, **options)


@pytest.mark.skipif(os.name == "nt", reason="such a name cannot be made there")
def test_a_name_that_is_not_utf8(scorer: Scorer, tmp_path: Path, photos: list[str]) -> None:
    path = os.fsdecode(os.fsencode(str(tmp_path)) + b"/caf\xe9.png")
    shutil.copy(photos[1], path)
    assert not scorer.score(path).failed


def test_a_damaged_image_that_pillow_opened(scorer: Scorer, photos: list[str]) -> None:
    content = Path(photos[0]).read_bytes()[:3000]
    damaged = Path(photos[0]).with_name("half.jpg")
    damaged.write_bytes(content)
    with pytest.raises(PhotoError, match=r"half\.jpg: damaged or truncated .*download it again"):
        scorer.score(Image.open(damaged))
    (row,) = scorer.score_many([Image.open(io.BytesIO(content))])
    assert row.error.startswith("this image: damaged or truncated")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ViewingProtocol()),
        ({"short_side": 384}, ViewingProtocol(short_side=384)),
        ({"max_side": 1024}, ViewingProtocol(short_side=None, max_side=1024)),
        ({"native": True}, ViewingProtocol(short_side=None, crops="tiles")),
        ({"crops": "whole"}, ViewingProtocol(crops="whole")),
        ({"crops": "whole", "max_side": 700}, ViewingProtocol(None, 700, crops="whole")),
    ],
)
def test_what_is_asked_is_changed_and_nothing_else(
    options: dict[str, Any], expected: ViewingProtocol
) -> None:
    assert adapt_protocol(ViewingProtocol(), **options) == expected


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"short_side": 1, "max_side": 1}, "short_side and max_side exclude each other"),
        ({"short_side": 1, "native": True}, "short_side and native exclude each other"),
        ({"native": True, "crops": "five"}, "leave crops out"),
        ({"crops": "ten"}, "'ten'"),
        ({"short_side": 0}, "short_side must be at least 128 px, got 0"),
        ({"short_side": 127}, "short_side must be at least 128 px, got 127"),
        ({"max_side": 10}, "max_side must be at least 128 px, got 10"),
    ],
)
def test_invalid_viewing_is_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        adapt_protocol(ViewingProtocol(), **options)


@pytest.mark.parametrize("together", [False, True])
def test_features_come_with_the_scores_that_were_made_of_them(
    tiny_model: Path, sample_photos: list[Image.Image], together: bool
) -> None:
    scorer = load(tiny_model, native=together)
    found = list(scorer.score_with_features([sample_photos[0], "none.jpg", sample_photos[1]]))
    assert [score.failed for score, _ in found] == [False, True, False]
    assert found[1][1] is None
    for score, features in (found[0], found[2]):
        assert features is not None
        assert scorer.head.score(features).score == score.score
    assert list(scorer.score_many(sample_photos)) == [found[0][0], found[2][0]]
