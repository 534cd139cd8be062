"""Contact sheets."""

from __future__ import annotations

import numpy as np
from PIL import Image

from shamisa_cli.imaging.sheet import contact_sheet

RED, BLUE = (255, 0, 0), (0, 0, 255)


def patch(color: tuple[int, int, int], size: tuple[int, int] = (50, 50)) -> Image.Image:
    return Image.new("RGB", size, color)


def area_of(sheet: Image.Image, color: tuple[int, int, int]) -> np.ndarray:
    """Rows and columns of the pixels of ``color``."""
    return np.argwhere((np.asarray(sheet) == color).all(axis=-1))


def test_pictures_stand_in_rows() -> None:
    sheet = contact_sheet([[patch(RED), patch(BLUE)], [patch(BLUE)]], [["a", "b"], ["c"]], cell=50)
    red, blue = area_of(sheet, RED), area_of(sheet, BLUE)
    assert len(red) == 50 * 50
    assert len(blue) == 2 * 50 * 50
    assert red.max(0)[1] < blue[blue[:, 0] == red[0, 0]].min(0)[1]


def test_a_picture_keeps_its_proportions() -> None:
    sheet = contact_sheet([[patch(RED, (100, 50))]], [[""]], cell=100)
    area = area_of(sheet, RED)
    assert tuple(np.ptp(area, axis=0) + 1) == (50, 100)


def test_captions_and_titles_are_written() -> None:
    bare = contact_sheet([[patch(RED)]], [[""]], row_titles=[""], cell=50)
    captioned = contact_sheet([[patch(RED)]], [["text"]], row_titles=[""], cell=50)
    titled = contact_sheet([[patch(RED)]], [[""]], row_titles=["title"], cell=50)
    changed = np.argwhere(np.asarray(bare) != np.asarray(captioned))
    assert changed.min(0)[0] > area_of(bare, RED).max(0)[0]
    changed = np.argwhere(np.asarray(bare) != np.asarray(titled))
    assert changed.max(0)[1] < area_of(bare, RED).min(0)[1]
