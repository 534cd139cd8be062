"""Which pixels the scorer looks at."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from shamisa_cli.imaging.crops import CropPlan, crop_at, crop_batches
from shamisa_cli.imaging.resample import rescale, viewing_size


def numbered(width: int, height: int) -> Image.Image:
    """Every pixel tells where it is: x in red, y in green, their high parts in blue."""
    y, x = np.mgrid[:height, :width]
    high = (x >> 8) * 16 + (y >> 8)
    return Image.fromarray(np.stack([x & 255, y & 255, high], axis=-1).astype(np.uint8))


def five_by_hand(image: Image.Image, side: int) -> list[Image.Image]:
    """Center, top left, top right, bottom left, bottom right of a photo that is large enough."""
    right, bottom = image.width - side, image.height - side
    corners = [(round(right / 2), round(bottom / 2)), (0, 0), (right, 0), (0, bottom)]
    return [image.crop((x, y, x + side, y + side)) for x, y in [*corners, (right, bottom)]]


def test_five_crops_at_full_and_half_scale() -> None:
    image = numbered(700, 501)
    (batch,) = crop_batches(image, CropPlan())
    assert [crops.shape for crops in batch] == [(5, 224, 224, 3)] * 2
    for crops, view in zip(batch, (image, rescale(image, 0.5)), strict=True):
        for crop, expected in zip(crops, five_by_hand(view, 224), strict=True):
            assert np.array_equal(crop, np.asarray(expected))


def test_short_sides_are_continued_by_reflection() -> None:
    image = numbered(300, 100)
    expected = np.pad(np.asarray(image), ((62, 62), (0, 0), (0, 0)), mode="reflect")
    assert np.array_equal(crop_at(image, (0.0, 0.5), (224, 224)), expected[:, :224])
    assert np.array_equal(crop_at(image, (1.0, 0.0), (224, 224)), expected[:, -224:])


@pytest.mark.parametrize(("size", "distinct"), [((700, 501), 5), ((512, 384), 3), ((300, 300), 1)])
def test_half_scale_crops_of_small_photos_fall_together(
    size: tuple[int, int], distinct: int
) -> None:
    """docs/scoring.md says so."""
    ((_, half),) = crop_batches(numbered(*size), CropPlan())
    assert len({crop.tobytes() for crop in half}) == distinct


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (3, 2), (2000, 5), (223, 225)])
@pytest.mark.parametrize("kind", ["five", "whole", "tiles"])
def test_any_size_can_be_cropped(size: tuple[int, int], kind: str) -> None:
    plan = CropPlan(kind)  # type: ignore[arg-type]
    batches = list(crop_batches(numbered(*size), plan))
    assert sum(len(batch[0]) for batch in batches) == len(plan.places(size))
    for crops in (array for batch in batches for array in batch):
        assert min(crops.shape[1:3]) >= 224
        assert crops.shape[3] == 3


def test_whole_is_the_photo_itself_at_both_scales() -> None:
    image = numbered(600, 500)
    ((full, half),) = crop_batches(image, CropPlan("whole"))
    assert np.array_equal(full[0], np.asarray(image))
    assert np.array_equal(half[0], np.asarray(rescale(image, 0.5)))


@given(st.integers(1, 1500), st.integers(1, 1500))
def test_tiles_cover_every_pixel_with_as_few_as_can_do_it(width: int, height: int) -> None:
    places = CropPlan("tiles").places((width, height))
    columns, rows = -(-width // 224), -(-height // 224)
    assert len(places) == columns * rows
    for side, fractions in ((width, {x for x, _ in places}), (height, {y for _, y in places})):
        starts = sorted(round(f * max(0, side - 224)) for f in fractions)
        assert starts[0] == 0 or side < 224
        assert all(b - a <= 224 for a, b in pairwise(starts))
        assert starts[-1] + 224 >= side


def test_tiles_come_in_batches_and_in_order() -> None:
    image = numbered(900, 700)
    plan = CropPlan("tiles")
    together = list(crop_batches(image, plan, places_per_batch=1000))
    apart = list(crop_batches(image, plan, places_per_batch=3))
    assert len(together) == 1
    assert all(len(batch[0]) <= 3 for batch in apart)
    for scale in (0, 1):
        joined = np.concatenate([batch[scale] for batch in apart])
        assert np.array_equal(joined, together[0][scale])


@pytest.mark.parametrize(
    ("size", "pads"),
    [((448, 448), False), ((447, 900), False), ((446, 900), True), ((200, 900), True)],
)
def test_padding_is_told(size: tuple[int, int], pads: bool) -> None:
    """447 px are 223.5 at half scale, rounded to 224."""
    assert CropPlan().pads(size) is pads
    assert CropPlan(scales=(1.0,)).pads(size) is (min(size) < 224)


def test_crops_share_no_memory_with_the_photo() -> None:
    image = numbered(300, 300)
    (batch,) = crop_batches(image, CropPlan(scales=(1.0,)))
    batch[0][:] = 0
    assert np.array_equal(np.asarray(image), np.asarray(numbered(300, 300)))


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(1, 1000))
def test_viewing_size_shrinks_in_proportion_and_only_once(
    width: int, height: int, side: int
) -> None:
    short = viewing_size((width, height), side)
    assert min(short) == min(side, width, height)
    assert viewing_size(short, side) == short
    long = viewing_size((width, height), None, side)
    assert max(long) == min(side, max(width, height))
    assert viewing_size(long, None, side) == long
    assert viewing_size((width, height), None) == (width, height)
