"""Contact sheets of distorted photos: what each picture on them is, and what stands below it."""

from __future__ import annotations

from pathlib import PurePath

import numpy as np
import pytest
from PIL import Image

from shamisa_cli.distortions.copies import Plan, distorted_copy, ladder_plan, random_plan
from shamisa_cli.distortions.sheets import CROP, SheetRows
from shamisa_cli.imaging.closeup import telling_box
from shamisa_cli.imaging.sheet import WIDEST

NAME = PurePath("folder/photo.jpg")
SIZES = [(640, 427), (4000, 3000), (3000, 4000), (200, 100)]


@pytest.fixture(params=SIZES, ids=str)
def photo(request: pytest.FixtureRequest, sample_photos: list[Image.Image]) -> Image.Image:
    return sample_photos[0].resize(request.param)


def sheet_of(photo: Image.Image, plan: Plan) -> SheetRows:
    rows = SheetRows(plan, seed=3)
    rows.add(photo, NAME)
    return rows


def holds(sheet: Image.Image, part: Image.Image) -> bool:
    """Whether ``part`` is on the sheet, pixel for pixel."""
    pixels, wanted = np.asarray(sheet), np.asarray(part)
    height, width = wanted.shape[:2]
    corner = (pixels == wanted[0, 0]).all(-1)
    found = np.argwhere(corner[: len(pixels) - height + 1, : pixels.shape[1] - width + 1])
    return any(np.array_equal(pixels[y : y + height, x : x + width], wanted) for y, x in found)


def test_a_ladder_shows_the_whole_photo_and_a_part_of_it_distorted(photo: Image.Image) -> None:
    plan = ladder_plan(["jpeg", "gaussian_blur"], (0, 0.5, 1))
    made = sheet_of(photo, plan)
    head, *ladders = made.rows
    box = telling_box(photo, CROP)
    part = photo.crop(box)
    assert head.title == "folder/photo.jpg"
    assert head.captions[0] == f"whole photo, {photo.width} × {photo.height} px"
    assert f"({box[0]}, {box[1]}), {part.width} × {part.height} px" in head.captions[1]
    assert head.pictures[0].width <= CROP[0]
    assert head.pictures[0].height <= CROP[1]
    assert [row.title for row in ladders] == ["jpeg", "gaussian_blur"]
    for row, variants in zip(ladders, plan.rows(NAME), strict=True):
        assert row.pictures[0].tobytes() == part.tobytes()
        for picture, variant in zip(row.pictures[1:], variants, strict=True):
            assert picture == distorted_copy(part, NAME, variant, 3)
    assert ladders[0].captions[0] == "as it is"
    assert ladders[0].captions[2] == "quality 24, severity 0.5"
    assert ladders[1].captions[3] == "σ 5 px, severity 1"
    sheet = made.draw()
    assert sheet.width <= WIDEST
    assert holds(sheet, part)
    assert holds(sheet, ladders[1].pictures[-1])


@pytest.mark.parametrize("count", [1, 5, 30])
def test_compositions_tell_every_function_with_its_unit(photo: Image.Image, count: int) -> None:
    plan = random_plan(count, seed=2)
    made = sheet_of(photo, plan)
    (row,) = made.rows
    assert len(row.pictures) == 2 + count
    (variants,) = plan.rows(NAME)
    for caption, variant in zip(row.captions[2:], variants, strict=True):
        number, *lines = caption.split("\n")
        assert number == str(variant.number)
        assert len(lines) == len(variant.composition.functions)
        for line, native in zip(lines, variant.natives, strict=True):
            assert f"{native:.3g}".replace("-", "−") in line.partition(", ")[2].split()
    assert made.draw().width <= WIDEST


def test_a_full_sheet_takes_no_more_photos(sample_photos: list[Image.Image]) -> None:
    small = sample_photos[0].resize((64, 48))
    one, many = ladder_plan(["darken"], [1.0]), random_plan(1, seed=0)
    for plan, rows in ((one, 2), (many, 24)):
        made = SheetRows(plan, seed=0)
        for k in range(30):
            made.add(small, PurePath(f"{k}.png"))
        assert len(made.rows) == rows
