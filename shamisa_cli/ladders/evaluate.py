"""The protocol when severity ladders take part in the fit.

The strength that is best for scores alone need not be so with ladders (measured on an encoder after
126 steps: at α = 0.01, 288 ladders of 48 photos are put in order by heart, with little learnt for
other photos). So it is chosen anew, by validation SRCC and by the share of levels in order on
ladders of photos that are not in the fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from shamisa_cli.evaluation.evaluate import SplitResult, best_alpha, image_features
from shamisa_cli.evaluation.measures import measure_all, srcc
from shamisa_cli.evaluation.splits import Split
from shamisa_cli.ladders.differences import LadderTerm, ShortDifferences
from shamisa_cli.ladders.fit import HeadFit
from shamisa_cli.ladders.ladder import LadderResult, Ladders, evaluate_ladders

JOINT_ALPHAS = torch.logspace(-2, 2, 5, dtype=torch.float64)
"""Coarser than the ridge's own grid, since every strength is a fit of its own."""

HELD_OUT = 0.2
"""Share of the ladders' photos for choosing, and again for measuring."""


@dataclass(frozen=True, eq=False)
class LadderParts:
    """Ladders of three disjoint sets of photos, and the first two of these together."""

    fit: Ladders
    choose: Ladders
    test: Ladders
    fit_and_choose: Ladders


def divide_ladders(ladders: Ladders) -> LadderParts:
    """Three parts by photo: a fifth to measure, a fifth to choose the strength, the rest to fit."""
    photos = list(dict.fromkeys(ladders.photos))
    count = max(1, round(HELD_OUT * len(photos)))
    test, choose = set(photos[:count]), set(photos[count : 2 * count])
    return LadderParts(
        ladders.select([p not in test and p not in choose for p in ladders.photos]),
        ladders.select([p in choose for p in ladders.photos]),
        ladders.select([p in test for p in ladders.photos]),
        ladders.select([p not in test for p in ladders.photos]),
    )


def evaluate_with_ladders(
    features: Tensor,
    scores: Tensor,
    splits: Sequence[Split],
    term: LadderTerm,
    choose: Ladders,
    alphas: Tensor = JOINT_ALPHAS,
) -> list[SplitResult]:
    """:func:`shamisa_cli.evaluation.evaluate.evaluate` with ladders in every fit.

    Parameters
    ----------
    features, scores, splits : as there.
    term : ladders of photos that have nothing to do with the dataset's.
    choose : ladders of yet other photos; the strength is chosen by the sum of their share of levels
        in order and the validation SRCC (0 where the validation images all have one score).
    alphas : (A,) rising.
    """
    wanted = scores.double().numpy()
    ladders = ShortDifferences(term)
    made = []
    start: Tensor | None = None
    for split in splits:
        fit = HeadFit(features[split.train], scores[split.train], ladders)
        validation = np.empty(len(alphas))
        solutions = []
        for i, alpha in enumerate(alphas.tolist()):
            start, b = fit.solve(alpha, start)
            solutions.append((start, b))
            agreement = srcc(_predictions(features[split.val], start, b), wanted[split.val.numpy()])
            validation[i] = np.nan_to_num(agreement) + score_ladders(choose, start)["all"].in_order
        alpha = best_alpha(validation, alphas)
        predictions = _predictions(features[split.test], *solutions[alphas.tolist().index(alpha)])
        measures = measure_all(predictions, wanted[split.test.numpy()])
        made.append(SplitResult(alpha, validation, measures, split.test, predictions))
    return made


def score_ladders(ladders: Ladders, w: Tensor) -> dict[str, LadderResult]:
    """Ladder figures of a linear regressor (F,), higher being better."""
    return evaluate_ladders((ladders.features.double() @ w.double()).numpy(), ladders.distortions)


def _predictions(features: Tensor, w: Tensor, b: float) -> np.ndarray:
    return (image_features(features) @ w + b).numpy()
