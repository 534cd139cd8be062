"""Where the scorer looks: crops of a photo at several scales, in one order (docs/method.md §6).

A *place* is a pair of fractions of the free room, (x, y) in [0, 1]²: (0, 0) is the top left corner,
(½, ½) the center. The same places are looked at at every scale.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image

from shamisa_cli.imaging.resample import rescale, scaled_size

Place = tuple[float, float]
Kind = Literal["five", "whole", "tiles"]

FIVE: tuple[Place, ...] = ((0.5, 0.5), (0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0))
"""Center and four corners."""


@dataclass(frozen=True)
class CropPlan:
    """Which crops are taken of every photo.

    Attributes
    ----------
    kind : ``five``: center and corners. ``tiles``: a grid, row by row, that covers the photo with
        as few crops as can do it. ``whole``: everything as one crop.
    side : px of the square crops. Photos with a shorter side are filled up by reflection.
    scales : every place is cut at each of these scales.
    """

    kind: Kind = "five"
    side: int = 224
    scales: tuple[float, ...] = (1.0, 0.5)

    def places(self, size: tuple[int, int]) -> Sequence[Place]:
        """Where a photo of ``size`` (width, height) px is looked at."""
        if self.kind == "whole":
            return FIVE[:1]
        if self.kind == "five":
            return FIVE
        columns, rows = (_even_steps(length, self.side) for length in size)
        return [(x, y) for y in rows for x in columns]

    def crop_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Width and height of the crops of a picture of ``size`` px at one scale."""
        if self.kind == "whole":
            return max(size[0], self.side), max(size[1], self.side)
        return self.side, self.side

    def pads(self, size: tuple[int, int]) -> bool:
        """Whether crops of a photo of ``size`` px hold reflected pixels, at any scale."""
        return any(min(scaled_size(size, scale)) < self.side for scale in self.scales)


def crop_batches(
    image: Image.Image, plan: CropPlan, places_per_batch: int = len(FIVE)
) -> Iterator[list[np.ndarray]]:
    """Crops of ``image`` (8-bit RGB, already at its viewing size), some places at a time.

    Yields
    ------
    One array for each scale of the plan, (n, h, w, 3) uint8 with n ≤ ``places_per_batch``.
    """
    scaled = [rescale(image, scale) for scale in plan.scales]
    where = plan.places(image.size)
    for start in range(0, len(where), places_per_batch):
        some = where[start : start + places_per_batch]
        yield [
            np.stack([crop_at(view, place, plan.crop_size(view.size)) for place in some])
            for view in scaled
        ]


def crop_at(image: Image.Image, place: Place, size: tuple[int, int]) -> np.ndarray:
    """The crop of ``size`` (width, height) at ``place``: (height, width, 3) uint8."""
    (left, right), (top, bottom) = (
        _span(length, wanted, fraction)
        for length, wanted, fraction in zip(image.size, size, place, strict=True)
    )
    return reflect_pad(np.asarray(image.crop((left, top, right, bottom))), size)


def reflect_pad(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """``pixels`` (h, w, 3) in the middle of ``size`` (width, height), the rest by reflection."""
    missing = [wanted - have for wanted, have in zip(size[::-1], pixels.shape[:2], strict=True)]
    if not any(missing):
        return pixels
    pads = [(m // 2, m - m // 2) for m in missing]
    return np.pad(pixels, (*pads, (0, 0)), mode="reflect")


def _even_steps(length: int, side: int) -> list[float]:
    """Fractions of the free room at which as few crops as can cover ``length`` px."""
    n = max(1, math.ceil(length / side))
    return [0.5] if n == 1 else [k / (n - 1) for k in range(n)]


def _span(length: int, wanted: int, fraction: float) -> tuple[int, int]:
    """Start and end of a crop inside 0 … ``length``; all of it where the crop is longer."""
    if length <= wanted:
        return 0, length
    start = round(fraction * (length - wanted))
    return start, start + wanted
