"""Places of photos that a step contrasts: the most salient one of each, and some at random.

A place is a window of what the model looks at: of a photo's pixels, or of what comes out of the
first layers, where those are kept. Windows are counted in its cells, a pixel or a part of the map.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from shamisa_cli.encoders.encoder import Encoder
from shamisa_cli.encoders.halves import Early, late_half
from shamisa_cli.encoders.regions import maps_from
from shamisa_cli.finetuning.saliency import (
    Saliency,
    activation_map,
    activations,
    attention_map,
    best_of,
    best_window,
    overlap,
    random_window,
    spectral_map,
    window_means,
)

TRIES = 10
"""Draws of a random place, until one does not overlap the most salient one too much."""

Place = tuple[int, int]
"""(left, top), in cells."""


def features_of_places(encoder: Encoder, seen: Tensor | Early) -> Tensor:
    """(n, d) features of places, with gradients; of the second half alone where that is trained."""
    if isinstance(seen, Early):
        return late_half(encoder, seen)[:, seen.joint.late]
    return encoder(seen.float() / 255)


def size_of(seen: Tensor | Early) -> Place:
    """(width, height) in cells."""
    height, width = _cells(seen).shape[2:]
    return width, height


def cut(seen: Tensor | Early, places: Sequence[Sequence[Place]], side: int) -> Tensor | Early:
    """Windows of ``side`` cells: of each of n photos its places, photo by photo.

    What :class:`Early` has beside maps is of the whole photo, and left out.
    """
    cells = _cells(seen)
    found = [
        cells[k, :, top : top + side, left : left + side]
        for k, some in enumerate(places)
        for left, top in some
    ]
    with torch.autocast(cells.device.type, enabled=False):  # it stacks no float16 under bfloat16
        windows = torch.stack(found)
    if not isinstance(seen, Early):
        return windows
    features = seen.features.new_zeros(len(windows), seen.features.shape[1])
    return dataclasses.replace(seen, maps=windows, features=features)


@torch.no_grad()
def saliency_maps(
    kind: Saliency, encoder: Encoder, seen: Tensor | Early, turned: Tensor | Early
) -> Tensor:
    """(n, h, w) ≥ 0: where people look in each photo, by the encoder in evaluation.

    ``turned`` is what the model sees of the mirrored photos. Of pixels the maps mirror themselves.
    A map that says nothing, as for the kinds that look at no pixel, has one value.
    """
    cells = _cells(seen)
    if kind in ("center", "random"):
        return torch.ones(len(cells), 1, 1)
    if isinstance(seen, Early) and isinstance(turned, Early):
        if kind != "activation":
            raise ValueError(f"saliency {kind} looks at pixels, not at what first layers make")
        maps = _activations(encoder, seen) + _activations(encoder, turned).flip(-1)
        return maps.cpu() / 2
    photos = cells.float() / 255
    if kind == "spectral":
        return torch.stack([spectral_map(photo.cpu()) for photo in photos])
    made = activation_map if kind == "activation" else attention_map
    return torch.stack([made(encoder, photo).cpu() for photo in photos])


def _activations(encoder: Encoder, seen: Early) -> Tensor:
    """(n, h, w): :func:`activations` of the last map, of the first end where there are two."""
    return activations(maps_from(encoder.backbone, seen.maps.float(), seen.joint.block)[-1])


def choose_places(
    kind: Saliency,
    saliency: Tensor,
    size: Place,
    side: int,
    count: int,
    max_overlap: float,
    generator: torch.Generator,
    *,
    sampled: bool = False,
) -> list[Place]:
    """The most salient place of a photo, then ``count`` random ones.

    Parameters
    ----------
    kind : of the map; ``random`` draws the first place too.
    saliency : (h, w) ≥ 0, of the whole photo.
    size : (width, height) of the photo in cells, neither below ``side``.
    max_overlap : a random place that overlaps the first by more, intersection over union, is drawn
        again, ten times at most; then the one of them that overlaps it least is taken. 1 takes
        every place.
    sampled : all are drawn at random, and the most salient of them comes first; where the map tells
        none from another, the one nearest to the center.
    """
    draw = partial(random_window, size, side, generator)
    if sampled:
        places = [draw() for _ in range(1 + count)]
        if kind == "random":
            return places
        means = torch.cat([window_means(saliency, size, side, [x], [y])[0] for x, y in places])
        first = best_of(places, means, saliency, size, side)
        return [places.pop(places.index(first)), *places]
    first = draw() if kind == "random" else best_window(saliency, size, side)
    places = [first]
    for _ in range(count):
        drawn = [draw()]
        while overlap(first, drawn[-1], side) > max_overlap and len(drawn) < TRIES:
            drawn.append(draw())
        places.append(min(drawn, key=lambda place: overlap(first, place, side)))
    return places


def mirrored_place(place: Place, size: Place, side: int) -> Place:
    """Where ``place`` is in the mirrored photo."""
    return size[0] - side - place[0], place[1]


def _cells(seen: Tensor | Early) -> Tensor:
    """(n, c, h, w)."""
    return seen.maps if isinstance(seen, Early) else seen
