"""Where a photo looks bad: points that each place takes from the score, or adds to it.

A score is linear in features that are averages over the photo, but these are put on a logarithmic
scale, so it is no sum over places. Taken apart to first order, or read window by window, it points
at content more than at damage: places differ more in what they show than in how good they look. So
a small network reads cells, each beside the mean of its photo. It learns from photos that the
engine damaged as a whole or in part: a damaged cell is to tell by how many points the score falls
where the whole photo is damaged so, and any other cell tells 0. No human score takes part beside
those in the head.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from shamisa_cli.explaining.kinds import extend

_ROWS = ("upper", "", "lower")
_COLUMNS = ("left", "middle", "right")
_LIMIT = 6.0


@dataclass(frozen=True, eq=False)
class PlaceHead:
    """A network of one hidden layer that reads a cell beside the mean over its photo.

    Attributes
    ----------
    center, deviation : (C,) float32, of cells; what is read is standard, and within ±6.
    hidden : (r, 2C+1) float32, for a cell and its difference from the mean; the bias is last.
    output : (r+1,) float32, points; the bias is last.
    base : points of a good photo: the mean score of those of the fit, as they are.
    """

    center: Tensor
    deviation: Tensor
    hidden: Tensor
    output: Tensor
    base: float

    def __post_init__(self) -> None:
        size, hidden = len(self.center), len(self.hidden)
        shapes = self.deviation.shape, self.hidden.shape, self.output.shape
        if shapes != ((size,), (hidden, 2 * size + 1), (hidden + 1,)):
            raise ValueError(f"shapes do not fit each other: {[tuple(each) for each in shapes]}")

    def read(self, cells: Tensor, context: Tensor) -> Tensor:
        """(m,) points of cells (m, C) of photos whose mean cells are ``context`` (m, C)."""
        x = beside_mean(*(standard(each, self.center, self.deviation) for each in (cells, context)))
        return F.relu(extend(x) @ self.hidden.T) @ self.output[:-1] + self.output[-1]


def standard(cells: Tensor, center: Tensor, deviation: Tensor) -> Tensor:
    """Cells (m, C) moved to a mean of 0 and a deviation of 1, and kept within ±6."""
    return ((cells.float() - center) / deviation).clamp(-_LIMIT, _LIMIT)


def beside_mean(cells: Tensor, context: Tensor) -> Tensor:
    """(m, 2C): standard cells (m, C), and their differences from the means ``context`` (m, C)."""
    return torch.cat([cells, cells - context], dim=1)


@dataclass(frozen=True)
class Extreme:
    """The place that takes or adds most: ``where`` in words, and its ``points``."""

    where: str
    points: float


@dataclass(frozen=True, eq=False)
class QualityMap:
    """What each place of a photo does to its score.

    score = ``base`` + mean of ``points`` + ``left_over``, exactly.

    Attributes
    ----------
    points : (rows, columns) float32: what each cell adds (> 0) or takes (< 0).
    base : the score of a good photo.
    left_over : what the map does not account for, such as what the photo shows.
    seen : (width, height) px of the picture that the cells divide.
    view : (width, height) px of the photo in the middle of it; less where it was padded.
    """

    points: Tensor
    base: float
    left_over: float
    seen: tuple[int, int]
    view: tuple[int, int]

    def on_view(self) -> Tensor:
        """``points`` on the photo as the model looked at it: (height, width) of ``view``.

        Bicubic, so smooth; kept in the range of the cells, which bicubic curves overshoot.
        """
        (width, height), (view_width, view_height) = self.seen, self.view
        grid = F.interpolate(self.points[None, None], (height, width), mode="bicubic")[0, 0]
        grid = grid.clamp(float(self.points.min()), float(self.points.max()))
        left, top = (width - view_width) // 2, (height - view_height) // 2
        return grid[top : top + view_height, left : left + view_width]

    def on_photo(self, size: tuple[int, int]) -> Tensor:
        """The same on the grid of a photo of ``size`` (width, height): (height, width)."""
        view = self.on_view()[None, None]
        return F.interpolate(view, size[::-1], mode="bilinear")[0, 0]

    def extremes(self) -> tuple[Extreme, Extreme]:
        """The place that takes most, and the one that takes least or adds most."""
        return self._at(int(self.points.argmin())), self._at(int(self.points.argmax()))

    def _at(self, number: int) -> Extreme:
        """The cell of this ``number``, counted by rows."""
        rows, columns = self.points.shape
        row, column = divmod(number, columns)
        words = f"{_ROWS[3 * row // rows]} {_COLUMNS[3 * column // columns]}".strip()
        return Extreme("center" if words == "middle" else words, float(self.points[row, column]))


def quality_map(
    cells: Tensor, head: PlaceHead, score: float, seen: tuple[int, int], view: tuple[int, int]
) -> QualityMap:
    """The map of a photo from its cells (C, rows, columns) and its score in points.

    ``seen`` and ``view`` are as in :class:`QualityMap`.
    """
    rows = cells.flatten(1).T.float()
    points = head.read(rows, rows.mean(0, keepdim=True)).unflatten(0, cells.shape[1:])
    return QualityMap(points, head.base, score - head.base - float(points.mean()), seen, view)
