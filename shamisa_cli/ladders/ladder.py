"""Severity ladders: does a score fall as our own distortions grow? No human scores are needed.

A ladder is one photo under one distortion at λ = 0, ¼, ½, ¾, 1, everything else the same: the draws
inside the function (noise, places, angles) start from the same seed at every level.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from shamisa_cli.distortions.pictures import LEVELS
from shamisa_cli.errors import UsageError
from shamisa_cli.evaluation.measures import Array, srcc
from shamisa_cli.evaluation.report import Cells, csv_text
from shamisa_cli.imaging.paths import PassBy, list_photos

MIN_PHOTOS = 5
"""So that there are some to fit, to choose and to measure."""

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Ladders:
    """Features of n ladders.

    Attributes
    ----------
    features : (n, 5, F) float32, the mean over the crops at each level; a score is linear in it.
    damage : (n, 5) float32, MDSI of each level from the photo as it is: 0 for none.
    distortions : n names.
    photos : n paths, which photo each ladder shows.
    """

    features: Tensor
    damage: Tensor
    distortions: tuple[str, ...]
    photos: tuple[Path, ...]

    def select(self, keep: Sequence[bool]) -> Ladders:
        """The ladders where ``keep`` (n,) is true."""
        at = [i for i, kept in enumerate(keep) if kept]
        return Ladders(
            self.features[at],
            self.damage[at],
            tuple(self.distortions[i] for i in at),
            tuple(self.photos[i] for i in at),
        )

    def project(self, basis: Tensor) -> Ladders:
        """With features (n, 5, r) along the directions ``basis`` (F, r)."""
        return replace(self, features=self.features.double() @ basis)


def draw(items: Sequence[T], count: int | None, seed: int) -> list[T]:
    """``count`` of ``items`` (all, if there are fewer) in random order; all in order for None."""
    if count is None:
        return list(items)
    order = torch.randperm(len(items), generator=torch.Generator().manual_seed(seed))
    return [items[i] for i in order[:count].tolist()]


def draw_photos(
    folder: Path,
    count: int,
    seed: int,
    *,
    follow_links: bool = False,
    pass_by: PassBy = lambda path: None,
    without: Callable[[Path], bool] = lambda path: False,
) -> list[Path]:
    """Photos of ``folder`` to make ladders of, see ``list_photos``; too few are refused.

    None of ``without`` is drawn.
    """
    found = list_photos(folder, follow_links=follow_links, pass_by=pass_by)
    order = draw(found, len(found), seed)
    photos = list(itertools.islice((path for path in order if not without(path)), count))
    check_photos(folder, len(photos), known=len(found) - len(photos))
    return photos


def check_photos(folder: Path, count: int, known: int = 0) -> None:
    """Refuse ladders of fewer than :data:`MIN_PHOTOS` photos of ``folder``.

    ``known`` are those that may not be drawn.
    """
    if count < MIN_PHOTOS:
        beside = f" beside {known} that training or tests have seen" if known else ""
        raise UsageError(f"{folder}: {count} photos{beside}; ladders need at least {MIN_PHOTOS}")


@dataclass(frozen=True)
class LadderResult:
    """How well scores follow severity, over the ladders of one distortion (or of all).

    Attributes
    ----------
    ladders : their number.
    in_order : share of adjacent levels of which the milder has the higher score; 0-1.
    tau : mean over the ladders of Kendall's τ between −λ and the score; -1 to 1.
    mdsi : SRCC of the score with −MDSI over all levels of all ladders together, which compares
        photos (and, under ``all``, kinds of damage) with each other; -1 to 1, NaN if undefined.
    """

    ladders: int
    in_order: float
    tau: float
    mdsi: float


def score_ladders(ladders: Ladders, w: Tensor) -> dict[str, LadderResult]:
    """The figures of a linear regressor (F,), higher being better; see :func:`evaluate_ladders`."""
    scores = (ladders.features.double() @ w.double()).numpy()
    return evaluate_ladders(scores, ladders.damage.double().numpy(), ladders.distortions)


def evaluate_ladders(
    scores: Array, damage: Array, distortions: Sequence[str]
) -> dict[str, LadderResult]:
    """Per distortion, and under ``all`` over every ladder.

    Parameters
    ----------
    scores : (n, 5), higher is better; a tie counts as out of order.
    damage : (n, 5), MDSI.
    distortions : n names.
    """
    names = np.array(distortions)
    groups = {"all": np.full(len(names), True)}
    groups |= {name: names == name for name in dict.fromkeys(distortions)}
    return {name: _result(scores[members], damage[members]) for name, members in groups.items()}


def mean_result(results: Sequence[LadderResult]) -> LadderResult:
    """The mean of each figure, as of several models on one set of ladders; so many ladders each."""
    means = np.mean([astuple(each) for each in results], axis=0).tolist()
    return LadderResult(round(means[0]), *means[1:])


def ladder_cells(results: dict[str, LadderResult]) -> Cells:
    """A line for each distortion."""
    header = ["distortion", "ladders", "in order", "Kendall τ", "with MDSI"]
    return [header] + [
        [
            name,
            str(result.ladders),
            f"{result.in_order:.3f}",
            f"{result.tau:+.3f}",
            f"{result.mdsi:+.3f}",
        ]
        for name, result in results.items()
    ]


def ladder_csv(results: dict[str, LadderResult]) -> str:
    """The same as CSV, with all decimals."""
    header = ["distortion", *(each.name for each in fields(LadderResult))]
    return csv_text([header, *([name, *astuple(result)] for name, result in results.items())])


def _result(scores: Array, damage: Array) -> LadderResult:
    taus = [stats.kendalltau(np.negative(LEVELS), row).statistic for row in scores]
    in_order = float(np.mean(np.diff(scores, axis=1) < 0))
    tau = float(np.mean(np.nan_to_num(taus)))
    return LadderResult(len(scores), in_order, tau, srcc(scores.ravel(), -damage.ravel()))
