"""How well scores follow severity: shares of levels in order, and Kendall's τ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields

import numpy as np
from scipy import stats
from torch import Tensor

from shamisa_cli.distortions.pictures import LEVELS
from shamisa_cli.evaluation.measures import Array
from shamisa_cli.evaluation.report import Cells, csv_text
from shamisa_cli.ladders.ladder import Ladders


@dataclass(frozen=True)
class LadderResult:
    """How well scores follow severity, over the ladders of one distortion (or of all).

    Attributes
    ----------
    ladders : their number.
    in_order : share of adjacent levels of which the milder has the higher score; 0-1.
    tau : mean over the ladders of Kendall's τ between −λ and the score; -1 to 1.
    """

    ladders: int
    in_order: float
    tau: float


def score_ladders(ladders: Ladders, w: Tensor) -> dict[str, LadderResult]:
    """The figures of a linear regressor (F,), higher being better; see :func:`evaluate_ladders`."""
    return evaluate_ladders((ladders.features.double() @ w.double()).numpy(), ladders.distortions)


def evaluate_ladders(scores: Array, distortions: Sequence[str]) -> dict[str, LadderResult]:
    """Per distortion, and under ``all`` over every ladder.

    Parameters
    ----------
    scores : (n, 5), higher is better; a tie counts as out of order.
    distortions : n names.
    """
    names = np.array(distortions)
    groups = {"all": np.full(len(names), True)}
    groups |= {name: names == name for name in dict.fromkeys(distortions)}
    return {name: _result(scores[members]) for name, members in groups.items()}


def ladder_cells(results: dict[str, LadderResult]) -> Cells:
    """A line for each distortion."""
    header = ["distortion", "ladders", "in order", "Kendall τ"]
    return [header] + [
        [name, str(result.ladders), f"{result.in_order:.3f}", f"{result.tau:+.3f}"]
        for name, result in results.items()
    ]


def ladder_csv(results: dict[str, LadderResult]) -> str:
    """The same as CSV, with all decimals."""
    header = ["distortion", *(each.name for each in fields(LadderResult))]
    return csv_text([header, *([name, *astuple(result)] for name, result in results.items())])


def _result(scores: Array) -> LadderResult:
    taus = [stats.kendalltau(np.negative(LEVELS), row).statistic for row in scores]
    in_order = float(np.mean(np.diff(scores, axis=1) < 0))
    return LadderResult(len(scores), in_order, float(np.mean(np.nan_to_num(taus))))
