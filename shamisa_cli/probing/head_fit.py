"""Fit a head on human scores and, if wanted, on severity ladders as well.

Human scores say how good photos look; few datasets say that more of a distortion never looks
better. A ladder says nothing but that. So ladders enter as differences of adjacent levels without
intercept: (f(λ_i) − f(λ_{i+1}))·w should be at least a gap g. A difference that already exceeds the
gap is let go, as in a ranking support vector machine with squared hinge loss (Chapelle & Keerthi,
"Efficient algorithms for ranking with SVMs", Information Retrieval 13, 2010): the loss

    Σ_i (x_i·w + b − y_i)²  +  ω Σ_j max(0, g − d_j·w)²  +  α ‖w‖²

is convex, and its minimum is found by ridge regressions over the differences that are short of the
gap, until these stay the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from shamisa_cli.probing.ladder import Ladders
from shamisa_cli.probing.protocol import fit_crops
from shamisa_cli.probing.ridge import LinearRows

MAX_ROUNDS = 20


@dataclass(frozen=True)
class LadderTerm:
    """The ladders' part of the fit.

    Attributes
    ----------
    ladders : whose adjacent levels should be in order.
    weight : ω, of one difference relative to one crop of a scored image.
    gap : g, in units of the scores.
    """

    ladders: Ladders
    weight: float
    gap: float


def fit_head(
    features: Tensor, scores: Tensor, alpha: float, ladder: LadderTerm | None = None
) -> tuple[Tensor, float]:
    """Weights (F,) float64 and bias of the regressor.

    Parameters
    ----------
    features : (n, K, F) float32.
    scores : (n,), higher is better.
    alpha : ridge strength.
    ladder : severity ladders to put in order as well.
    """
    w, b = fit_crops(features, scores).solution(alpha)
    if ladder is None:
        return w, b
    differences = adjacent_differences(ladder.ladders)
    short = torch.zeros(len(differences), dtype=torch.bool)
    for _ in range(MAX_ROUNDS):
        now_short = differences.double() @ w < ladder.gap
        if torch.equal(now_short, short):
            break
        short = now_short
        rows = differences[short]
        extra = LinearRows(rows, torch.full((len(rows),), ladder.gap), ladder.weight)
        w, b = fit_crops(features, scores, extra).solution(alpha)
    return w, b


def adjacent_differences(ladders: Ladders) -> Tensor:
    """(4n, F) float32: features of each level minus those of the next severer one."""
    return (ladders.features[:, :-1] - ladders.features[:, 1:]).flatten(0, 1)
