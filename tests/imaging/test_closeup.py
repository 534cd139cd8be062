"""A part of a photo and its place on the whole."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageFilter

from shamisa_cli.imaging.closeup import marked, sharpest_boxes, telling_box


def slow_box(photo: Image.Image, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Every place by itself: variance of √(|dx| + |dy|) of a small picture."""
    step = min(size) // 16
    small = np.asarray(photo.convert("L").reduce(step), float)
    detail = np.zeros_like(small)
    for y in range(small.shape[0]):
        for x in range(small.shape[1]):
            across = abs(small[y, x] - small[y, x - 1]) if x else 0
            down = abs(small[y, x] - small[y - 1, x]) if y else 0
            detail[y, x] = across + down
    best, place = -1.0, (0, 0)
    width, height = size[0] // step, size[1] // step
    for y in range(small.shape[0] - height + 1):
        for x in range(small.shape[1] - width + 1):
            spread = float(np.sqrt(detail[y : y + height, x : x + width]).var())
            if spread > best + 1e-9:
                best, place = spread, (x, y)
    left = min(place[0] * step, photo.width - size[0])
    top = min(place[1] * step, photo.height - size[1])
    return left, top, left + size[0], top + size[1]


@pytest.mark.parametrize("size", [(320, 240), (160, 160)])
def test_the_box_is_that_of_a_slow_version(
    sample_photos: list[Image.Image], size: tuple[int, int]
) -> None:
    for photo in sample_photos:
        assert telling_box(photo, size) == slow_box(photo, size)


@pytest.mark.parametrize("size", [(1, 1), (7, 300), (300, 7), (321, 241), (1000, 700)])
def test_the_box_lies_in_photos_of_any_size(size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), np.uint8)
    photo = Image.fromarray(pixels)
    left, top, right, bottom = telling_box(photo, (320, 240))
    assert 0 <= left < right <= size[0]
    assert 0 <= top < bottom <= size[1]
    assert (right - left, bottom - top) == (min(320, size[0]), min(240, size[1]))


def test_a_box_holds_both_edges_and_a_smooth_part() -> None:
    """Neither the plain half of a picture nor its checkered half: the border between them."""
    pixels = np.full((600, 1200), 128, np.uint8)
    pixels[:, 600:] = np.kron(np.indices((40, 40)).sum(0) % 2, np.full((15, 15), 255))
    left, _, right, _ = telling_box(Image.fromarray(pixels), (320, 240))
    assert left < 540 < 660 < right


def test_the_mark_is_where_the_box_is(sample_photos: list[Image.Image]) -> None:
    photo = sample_photos[0].resize((4000, 2670))
    box = (2000, 500, 2600, 1100)
    small = marked(photo, box, (400, 400))
    assert small.size == (400, 267)
    plain = np.asarray(marked(photo, (0, 0, *photo.size), (400, 400))).astype(int)
    changed = np.argwhere(abs(np.asarray(small).astype(int) - plain).max(2) > 0)
    assert changed.min(0).tolist() == [49, 199]
    assert changed.max(0).tolist() == [110, 260]
    middle = (slice(60, 100), slice(210, 250))
    assert np.array_equal(np.asarray(small)[middle], plain[middle])


def test_a_small_photo_is_not_enlarged() -> None:
    photo = Image.new("RGB", (30, 20), "navy")
    assert marked(photo, (0, 0, 30, 20), (320, 240)) == photo


def slow_sharpest(photo: Image.Image, side: int) -> list[tuple[float, int, int]]:
    """(sharpness, top, left) of every place of a grid of half a side, the sharpest first."""
    gray = np.asarray(photo.convert("L"), int)
    across, down = np.zeros_like(gray), np.zeros_like(gray)
    across[:, :-1] = abs(gray[:, 1:] - gray[:, :-1])
    down[:-1] = abs(gray[1:] - gray[:-1])
    step, found = side // 2, []
    for top in range(0, photo.height // step * step - side + 1, step):
        for left in range(0, photo.width // step * step - side + 1, step):
            part = np.s_[top : top + side, left : left + side]
            found.append((float((across + down)[part].sum()), top, left))
    return sorted(found, key=lambda place: (-place[0], place[1], place[2]))


@pytest.mark.parametrize("side", [64, 100])
def test_the_sharpest_places_are_those_of_a_slow_version(
    sample_photos: list[Image.Image], side: int
) -> None:
    for photo in (sample_photos[0].resize((333, 250)), sample_photos[1].resize((200, 320))):
        wanted: list[tuple[int, int, int, int]] = []
        for _, top, left in slow_sharpest(photo, side):
            if all(abs(top - b) >= side or abs(left - a) >= side for a, b, *_ in wanted):
                wanted.append((left, top, left + side, top + side))
        assert sharpest_boxes(photo, side, 3) == wanted[:3]


def test_the_part_that_is_in_focus_is_the_sharpest(sample_photos: list[Image.Image]) -> None:
    photo = sample_photos[0]
    soft = photo.filter(ImageFilter.GaussianBlur(3))
    soft.paste(photo.crop((256, 128, 384, 256)), (256, 128))
    assert sharpest_boxes(soft, 128, 1) == [(256, 128, 384, 256)]


def test_as_many_places_as_there_are() -> None:
    flat = Image.new("RGB", (130, 70), "gray")
    assert sharpest_boxes(flat, 64, 3) == [(0, 0, 64, 64), (64, 0, 128, 64)]
    assert sharpest_boxes(flat.crop((0, 0, 64, 64)), 64, 3) == [(0, 0, 64, 64)]
