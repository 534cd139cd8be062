"""Contact sheets: every pixel of the pictures is there, with text beside; none is too wide."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from shamisa_cli.imaging.sheet import WIDEST, Row, contact_sheet, look

RED, BLUE = (255, 0, 0), (0, 0, 255)


def patch(color: tuple[int, int, int], size: tuple[int, int] = (50, 50)) -> Image.Image:
    return Image.new("RGB", size, color)


def area_of(sheet: Image.Image, color: tuple[int, int, int]) -> np.ndarray:
    """Rows and columns of the pixels of ``color``."""
    return np.argwhere((np.asarray(sheet) == color).all(axis=-1))


def test_pictures_stand_in_rows() -> None:
    rows = [Row("", [patch(RED), patch(BLUE)], ["a", "b"]), Row("", [patch(BLUE)], ["c"])]
    sheet = contact_sheet(rows)
    red, blue = area_of(sheet, RED), area_of(sheet, BLUE)
    assert len(red) == 50 * 50
    assert len(blue) == 2 * 50 * 50
    assert red.max(0)[1] < blue[blue[:, 0] == red[0, 0]].min(0)[1]


def test_pictures_are_shown_pixel_for_pixel(sample_photos: list[Image.Image]) -> None:
    photo = sample_photos[0].crop((100, 100, 400, 300))
    sheet = np.asarray(contact_sheet([Row("", [patch(RED, (300, 80)), photo], ["", ""])]))
    left = int(area_of(Image.fromarray(sheet), RED)[:, 1].max()) + 1
    shown = sheet[:, left:]
    columns = np.flatnonzero((shown != 255).any((0, 2)))
    top = int(area_of(Image.fromarray(sheet), RED)[:, 0].min())
    part = shown[top : top + 200, columns[0] : columns[0] + 300]
    assert np.array_equal(part, np.asarray(photo))


@pytest.mark.parametrize(("count", "side"), [(100, 50), (9, 640), (2, 1990)])
def test_many_pictures_go_on_below(count: int, side: int) -> None:
    sheet = contact_sheet([Row("", [patch(BLUE, (side, 10))] * count, [""] * count)])
    assert sheet.width <= max(WIDEST, side + 30)
    assert len(area_of(sheet, BLUE)) == count * side * 10


def test_captions_and_titles_are_written() -> None:
    bare = contact_sheet([Row("", [patch(RED)], [""])])
    captioned = contact_sheet([Row("", [patch(RED)], ["text"])])
    assert captioned.height > bare.height
    dark = np.argwhere(np.asarray(captioned).max(-1) < 128)
    assert dark.min(0)[0] > area_of(captioned, RED).max(0)[0]
    titled = contact_sheet([Row("title", [patch(RED)], [""])])
    dark = np.argwhere(np.asarray(titled).max(-1) < 128)
    assert dark.max(0)[0] < area_of(titled, RED).min(0)[0]
    assert area_of(titled, RED).min(0)[0] > area_of(bare, RED).min(0)[0]


def test_a_long_title_never_widens_a_sheet() -> None:
    narrow = contact_sheet([Row("", [patch(RED)], [""])])
    titled = contact_sheet([Row("many words " * 30, [patch(RED)], ["more words " * 30])])
    assert titled.width == narrow.width


@pytest.mark.parametrize("size", [(640, 427), (427, 640), (4000, 3000), (60, 40)])
def test_a_look_holds_the_whole_and_its_part_at_one_to_one(
    sample_photos: list[Image.Image], size: tuple[int, int]
) -> None:
    photo = sample_photos[0].resize(size)
    width, height = min(230, size[0]), min(200, size[1])
    left, top = (size[0] - width) // 3, (size[1] - height) // 2
    box = (left, top, left + width, top + height)
    shown = look(photo, box, "93.2", "severity 0.25: σ 2 px", 386)
    assert shown.width == 386
    assert shown.crop((386 - width, 0, 386, height)).tobytes() == photo.crop(box).tobytes()
    words = np.asarray(shown)[min(100, height // 2) :, : 386 - width - 5]
    assert (words < 64).any()
