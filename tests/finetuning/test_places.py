"""Places of photos: which are chosen, and what is cut there."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from finetuning_toy import WHOLE
from torch import Tensor

from shamisa_cli.encoders.encoder import Encoder
from shamisa_cli.encoders.ends import add_end
from shamisa_cli.encoders.halves import Early, cell_side, cut_at, early_half
from shamisa_cli.finetuning.places import (
    choose_places,
    cut,
    features_of_places,
    mirrored_place,
    saliency_maps,
    size_of,
)
from shamisa_cli.finetuning.saliency import overlap, random_window
from shamisa_cli.models.store import random_encoder
from shamisa_cli.seeds import generator

ENCODER = random_encoder(WHOLE, seed=1).eval()
JOINT = cut_at(ENCODER, 3)


def photos(seed: int = 0, texture_left: bool | None = None) -> Tensor:
    """(2, 3, 96, 160) uint8 of noise; or gray with a busy left or right half."""
    draws = generator(seed)
    pixels = torch.randint(0, 256, (2, 3, 96, 160), generator=draws, dtype=torch.uint8)
    if texture_left is not None:
        flat = slice(80, None) if texture_left else slice(None, 80)
        pixels[..., flat] = 128
    return pixels


def early(pixels: Tensor) -> Early:
    with torch.no_grad():
        return early_half(ENCODER, pixels.float() / 255, JOINT)


@pytest.mark.parametrize("kept", [False, True])
def test_windows_against_slices(kept: bool) -> None:
    seen = early(photos()) if kept else photos()
    cells = seen.maps if isinstance(seen, Early) else seen
    width, height = size_of(seen)
    assert (height, width) == cells.shape[2:]
    places = [[(0, 0), (width - 4, height - 4)], [(1, 2), (3, 1)]]
    found = cut(seen, places, 4)
    windows = found.maps if isinstance(found, Early) else found
    for k, (photo, (left, top)) in enumerate(
        (photo, place) for photo, some in enumerate(places) for place in some
    ):
        expected = [[cells[photo, :, top + y, left + x] for x in range(4)] for y in range(4)]
        assert torch.equal(windows[k].permute(1, 2, 0), torch.stack([*map(torch.stack, expected)]))


def test_a_cell_is_a_part_of_the_photo() -> None:
    side = cell_side(ENCODER, JOINT)
    assert [96 // side, 160 // side] == list(early(photos()).maps.shape[2:])


def test_features_of_a_whole_photo_are_those_of_the_encoder() -> None:
    """A window that is all of the photo, by the second half and by the whole encoder."""
    pixels = photos()[:, :, :, :96]
    with torch.no_grad():
        expected = ENCODER(pixels.float() / 255)
        assert torch.equal(features_of_places(ENCODER, pixels), expected)
        seen = early(pixels)
        windows = cut(seen, [[(0, 0)], [(0, 0)]], size_of(seen)[0])
        found = features_of_places(ENCODER, windows)
    assert torch.allclose(found, expected[:, JOINT.late], atol=1e-5)


@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("kept", [False, True])
def test_planted_texture_is_salient_and_mirrors(left: bool, kept: bool) -> None:
    pixels = photos(3, texture_left=left)
    look = early if kept else lambda x: x
    seen, turned = look(pixels), look(pixels.flip(-1))
    maps = saliency_maps("activation", ENCODER, seen, turned)
    other = saliency_maps("activation", ENCODER, turned, seen)
    assert torch.allclose(maps.flip(-1), other, rtol=1e-4)
    size, side = size_of(seen), 3 if kept else 48
    place, mirrored = (
        choose_places("activation", each[0], size, side, 0, 0.5, generator(0))[0]
        for each in (maps, other)
    )
    assert (place[0] + side / 2 < size[0] / 2) == left
    assert mirrored == mirrored_place(place, size, side)


def test_a_second_end_says_nothing_of_where_people_look() -> None:
    """It learnt damage. Maps from kept layers and from pixels are the first end's, both."""
    net = random_encoder(WHOLE, seed=1).eval().backbone
    add_end(net, 3)
    with torch.no_grad():
        for value in net.get_submodule("second").parameters():
            value.mul_(-1)
    second = Encoder(net, WHOLE.preprocessing, WHOLE.pooling, WHOLE.statistics).eval()
    pixels = photos(3, texture_left=True)
    expected = saliency_maps("activation", ENCODER, pixels, pixels.flip(-1))
    assert torch.equal(saliency_maps("activation", second, pixels, pixels.flip(-1)), expected)
    joint = cut_at(second, 3)
    with torch.no_grad():
        seen, turned = (
            early_half(second, each.float() / 255, joint) for each in (pixels, pixels.flip(-1))
        )
    by_kept = saliency_maps("activation", second, seen, turned)
    assert torch.allclose(by_kept, expected, rtol=1e-3, atol=1e-5)
    with pytest.raises(ValueError, match="spectral looks at pixels"):
        saliency_maps("spectral", second, seen, turned)


def test_where_no_place_is_far_enough_the_farthest_is_taken() -> None:
    """A photo hardly larger than a place: the least overlap of ten draws."""
    flat, size, side = torch.ones(1, 1), (24, 22), 20
    for seed in range(5):
        found = choose_places("center", flat, size, side, 1, 0.1, generator(seed))
        draws = generator(seed)
        drawn = [random_window(size, side, draws) for _ in range(10)]
        assert found[1] == min(drawn, key=lambda place: overlap(found[0], place, side))


def test_sampled_places_have_the_most_salient_first() -> None:
    saliency = torch.rand(10, 16, generator=generator(7))
    size, side = (16, 10), 4
    for seed in range(5):
        found = choose_places(
            "activation", saliency, size, side, 4, 0.0, generator(seed), sampled=True
        )
        draws = generator(seed)
        drawn = [random_window(size, side, draws) for _ in range(5)]
        means = [float(saliency[y : y + side, x : x + side].mean()) for x, y in drawn]
        assert found[0] == drawn[means.index(max(means))]
        assert sorted(found) == sorted(drawn)


def test_sampled_places_of_a_flat_map_have_the_most_central_first() -> None:
    flat, size, side = torch.ones(1, 1), (100, 90), 20
    for seed in range(5):
        first, *others = choose_places(
            "center", flat, size, side, 6, 0.0, generator(seed), sampled=True
        )
        away = [(x + 10 - 50) ** 2 + (y + 10 - 45) ** 2 for x, y in (first, *others)]
        assert away[0] == min(away)
        drawn = choose_places("random", flat, size, side, 6, 0.0, generator(seed), sampled=True)
        draws = generator(seed)
        assert drawn == [random_window(size, side, draws) for _ in range(7)]


def test_random_places_keep_away_from_the_salient_one() -> None:
    flat, size, side = torch.ones(1, 1), (60, 40), 20
    draw = [
        choose_places("center", flat, size, side, 8, limit, generator(seed))
        for limit in (0.2, 1.0)
        for seed in range(20)
    ]
    shared = [[overlap(each[0], place, side) for place in each[1:]] for each in draw]
    apart, anywhere = shared[:20], shared[20:]
    assert all(each[0] == (20, 10) for each in draw)  # the center
    assert sum(s > 0.2 for some in apart for s in some) <= 2  # ten draws of about 0.3 each
    assert sum(s > 0.2 for some in anywhere for s in some) > 20
    everywhere = [place for some in draw for place in some]
    assert all(0 <= x <= 40 and 0 <= y <= 20 for x, y in everywhere)
    assert {0, 40} <= {x for x, _ in everywhere}
    assert draw[0] == choose_places("center", flat, size, side, 8, 0.2, generator(0))


def test_kinds_that_look_at_pixels_and_at_none() -> None:
    pixels = photos()
    flat = saliency_maps("center", ENCODER, early(pixels), early(pixels.flip(-1)))
    assert flat.shape == (2, 1, 1)
    spectral = saliency_maps("spectral", ENCODER, pixels, pixels.flip(-1))
    assert spectral.shape[0] == 2
    assert float(spectral.std()) > 0
    random = {
        choose_places("random", flat[0], (60, 40), 20, 0, 0.5, generator(seed))[0]
        for seed in range(9)
    }
    assert len(random) > 5


def test_what_early_has_beside_maps_is_left_out() -> None:
    seen = early(photos())
    found = cut(seen, [[(0, 0)], [(0, 0)]], 2)
    assert isinstance(found, Early)
    assert not found.features.any()
    assert dataclasses.replace(seen, maps=found.maps, features=found.features).joint is JOINT
