"""Reference photos: crops, cache, threads, damaged files."""

from __future__ import annotations

import logging
import pickle
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from shamisa_cli.errors import ShamisaError
from shamisa_cli.imaging import pool as pool_module
from shamisa_cli.imaging.pool import Box, PhotoPool

SIZES = ((200, 160), (150, 180), (90, 300))


def position_photo(width: int, height: int, number: int) -> Image.Image:
    """Every pixel says where it is: red its column, green its row, blue its photo."""
    rows, columns = np.mgrid[:height, :width]
    return Image.fromarray(
        np.stack([columns % 256, rows % 256, np.full_like(rows, number)], -1).astype(np.uint8)
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """p1.png, p2.png, sub/p10.png."""
    (tmp_path / "sub").mkdir()
    names = ("p1.png", "p2.png", "sub/p10.png")
    for number, (name, size) in enumerate(zip(names, SIZES, strict=True)):
        position_photo(*size, number).save(tmp_path / name)
    return tmp_path


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def take(pool: PhotoPool, photos: list[int], size: int = 64, **options: object) -> Tensor:
    return pool.random_crops(photos, size, seeded(), **options)  # type: ignore[arg-type]


def test_full_scale_crops_are_windows_of_the_photo(folder: Path) -> None:
    crops = take(PhotoPool(folder), [0, 1, 0])
    assert crops.shape == (2, 3, 3, 64, 64)
    assert crops.dtype == torch.uint8
    steps = torch.arange(64)
    for crop, number in zip(crops[0].int(), (0, 1, 0), strict=True):
        assert (crop[2] == number).all()
        assert torch.equal(crop[0], (crop[0, 0, 0] + steps).expand(64, 64))
        assert torch.equal(crop[1], (crop[1, 0, 0] + steps)[:, None].expand(64, 64))
    assert not torch.equal(crops[0, 0], crops[0, 2])


def test_half_scale_crops_are_of_pillows_bicubic_half(folder: Path) -> None:
    crop = take(PhotoPool(folder), [0], size=80)[1, 0]
    half = Image.open(folder / "p1.png").resize((100, 80), Image.Resampling.BICUBIC)
    whole = torch.from_numpy(np.array(half)).permute(2, 0, 1)
    places = [torch.equal(crop, whole[:, :, x : x + 80]) for x in range(21)]
    assert sum(places) == 1


def test_windows_reach_every_border(folder: Path) -> None:
    pool = PhotoPool(folder)
    lefts = pool.random_crops([0] * 400, 190, seeded())[0, :, 0, 0, 0]
    assert set(lefts.tolist()) == set(range(11))


def test_boxes_say_where_crops_are(folder: Path) -> None:
    pool = PhotoPool(folder)
    boxes = [Box(0, 0), Box(1, 1), Box(0.5, 0), Box(0, 0, shrink=0.5)]
    crops = pool.crops_at(0, boxes, [0, 0, 1, 0], size=60).int()
    corners = [(int(crop[0, 0, 0]), int(crop[1, 0, 0])) for crop in crops[:2]]
    assert corners == [(0, 0), (140, 100)]  # of a photo of 200×160 px
    half = Image.open(folder / "p1.png").resize((100, 80), Image.Resampling.BICUBIC)
    middle = torch.from_numpy(np.array(half)).permute(2, 0, 1)[:, :60, 20:80]
    assert torch.equal(crops[2], middle.int())
    assert abs(int(crops[3][0, 0, -1]) - 118) <= 1


def test_a_photo_that_is_too_small_is_filled_by_reflection(folder: Path) -> None:
    crop = take(PhotoPool(folder), [2], size=120)[0, 0].int()
    columns = crop[0, 0]
    assert torch.equal(columns[15:105], torch.arange(90))
    assert torch.equal(columns[:15], torch.arange(15, 0, -1))
    assert torch.equal(columns[105:], torch.arange(88, 73, -1))


def test_crops_depend_on_the_generator_alone(folder: Path) -> None:
    photos = [2, 0, 1, 1]
    plain = take(PhotoPool(folder, workers=1, cache_bytes=0), photos)
    cached = PhotoPool(folder, workers=3)
    take(cached, [0, 1, 2])
    cached.prefetch(photos)
    assert torch.equal(take(cached, photos), plain)
    assert torch.equal(take(pickle.loads(pickle.dumps(cached)), photos), plain)
    assert not torch.equal(cached.random_crops(photos, 64, seeded(1)), plain)


def test_what_fits_is_decoded_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = MagicMock(wraps=pool_module.decode)
    monkeypatch.setattr(pool_module, "decode", counted)
    first = (200 * 160 + 100 * 80) * 3
    pool = PhotoPool(folder, workers=1, cache_bytes=first)
    for _ in range(3):
        take(pool, [0, 1])
    decoded = [call.args[0].name for call in counted.call_args_list]
    assert (decoded.count("p1.png"), decoded.count("p2.png")) == (1, 3)


def test_flip_mirrors_half_of_the_crops(folder: Path) -> None:
    crops = take(PhotoPool(folder), [0] * 100, flip=True)[0].int()
    mirrored = crops[:, 0, 0, 0] > crops[:, 0, 0, -1]
    assert 30 < int(mirrored.sum()) < 70
    plain = take(PhotoPool(folder), [0] * 100)[0].int()
    assert torch.equal(crops[mirrored], plain[mirrored].flip(-1))
    assert torch.equal(crops[~mirrored], plain[~mirrored])


def test_scale_shrinks_a_larger_window(folder: Path) -> None:
    crops = take(PhotoPool(folder), [0] * 50, scale=(0.5, 1.0))[0].int()
    spans = (crops[:, 0, 32, -1] - crops[:, 0, 32, 0]).tolist()
    assert min(spans) < 75 < 115 < max(spans) <= 127


def test_a_damaged_photo_is_skipped_with_one_warning(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "p2.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing more")
    pool = PhotoPool(folder)
    assert len(pool) == 3
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            crops = take(pool, [1])
    assert (crops[0, 0, 2] == 2).all()
    assert len(caplog.records) == 1
    assert "p2.png" in caplog.text


def test_only_damaged_photos_are_an_error(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.png"):
        (tmp_path / name).write_bytes(b"not a photo")
    with pytest.raises(ShamisaError, match="none of the 2 photos could be read"):
        take(PhotoPool(tmp_path), [0])


def test_an_empty_or_missing_folder_says_what_to_point_it_at(tmp_path: Path) -> None:
    with pytest.raises(ShamisaError, match=r"no photos there; point it at a folder"):
        PhotoPool(tmp_path)
    with pytest.raises(ShamisaError, match=r"no such folder; point it at a folder"):
        PhotoPool(tmp_path / "absent")
    (tmp_path / "deep").mkdir()
    position_photo(40, 40, 0).save(tmp_path / "deep" / "p.png")
    assert len(PhotoPool(tmp_path)) == 1
    with pytest.raises(ShamisaError, match="no photos there"):
        PhotoPool(tmp_path, recursive=False)
