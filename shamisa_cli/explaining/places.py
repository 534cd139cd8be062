"""Where a photo looks bad: what the whole photo would score if all of it looked like one place.

A score is linear in features that are averages over the photo, but these are put on a logarithmic
scale, so it is no sum over places. Taken apart to first order, a score points at damage hardly
better than chance, since places differ more in what they show than in how good they look. So a
linear reading of cells is fitted: on photos that the engine damaged as a whole or in part, each
cell is to tell the score that the whole photo has in the state in which the cell is. It learns from
the head's scores alone. What the mean of such a map misses of the score is said as ``left_over``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True, eq=False)
class PlaceHead:
    """A linear reading of cells.

    Attributes
    ----------
    weight : (C,) float32, points.
    bias : points.
    head : name of the head whose scores it tells.
    """

    weight: Tensor
    bias: float
    head: str


@dataclass(frozen=True, eq=False)
class QualityMap:
    """Local quality on the cells of a photo.

    Attributes
    ----------
    points : (rows, columns) float32: what the whole photo would score if it all looked like this.
    left_over : the score minus the mean of ``points``: what the map does not account for.
    """

    points: Tensor
    left_over: float

    @property
    def added(self) -> Tensor:
        """(rows, columns) points that each place adds to the mean, or takes from it; their sum
        is 0."""
        return self.points - self.points.mean()

    def on_grid(self, size: tuple[int, int]) -> Tensor:
        """``points`` on the grid of a picture of ``size`` (width, height): (height, width).

        Bicubic, so smooth; kept in the range of the cells, which bicubic curves overshoot.
        """
        width, height = size
        grid = F.interpolate(self.points[None, None], (height, width), mode="bicubic")
        return grid[0, 0].clamp(float(self.points.min()), float(self.points.max()))


def quality_map(cells: Tensor, head: PlaceHead, score: float) -> QualityMap:
    """The map of a photo from its cells (C, rows, columns) and its score in points."""
    points = torch.einsum("c,chw->hw", head.weight, cells.float()) + head.bias
    return QualityMap(points, score - float(points.mean()))
