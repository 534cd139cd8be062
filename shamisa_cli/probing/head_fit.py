"""Fit a head on human scores and, if wanted, on severity ladders as well.

Human scores say how good photos look; few datasets say that more of a distortion never looks
better. A ladder says nothing but that. So ladders enter as differences of adjacent levels without
intercept: d_j = f(λ_i) − f(λ_{i+1}), and d_j·w should be at least a gap g. A difference that
exceeds the gap is let go, as in a ranking support vector machine with squared hinge loss (Chapelle
& Keerthi, "Efficient algorithms for ranking with SVMs", Information Retrieval 13, 2010). The loss

    Σ_i (x_i·w + b − y_i)²  +  ω Σ_j max(0, g − d_j·w)²  +  α ‖w‖²

is convex, and its minimum is found by ridge regressions over the differences that are short of the
gap, until these stay the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from shamisa_cli.probing.ladder import Ladders
from shamisa_cli.probing.measures import measure_all
from shamisa_cli.probing.protocol import SplitResult, crop_rows, image_features
from shamisa_cli.probing.ridge import NormalEquations, normal_equations
from shamisa_cli.probing.splits import Split

MAX_ROUNDS = 30


@dataclass(frozen=True)
class LadderTerm:
    """The ladders' part of the fit.

    Attributes
    ----------
    ladders : whose adjacent levels should be in order.
    weight : the weight of all differences together, relative to all crops of the scored images
        together; ω is this divided by the one number and multiplied by the other.
    gap : g, in units of the scores.
    """

    ladders: Ladders
    weight: float
    gap: float


def fit_head(
    features: Tensor,
    scores: Tensor,
    alpha: float,
    term: LadderTerm | None = None,
    start: Tensor | None = None,
) -> tuple[Tensor, float]:
    """Weights (F,) float64 and bias of the regressor.

    Parameters
    ----------
    features : (n, K, F) float32.
    scores : (n,), higher is better.
    alpha : ridge strength.
    term : severity ladders to put in order as well, or None for plain ridge.
    start : (F,) weights of a similar fit; with ladders, saves rounds and changes nothing else.
    """
    rows, targets = crop_rows(features, scores)
    equations = normal_equations(rows, targets)
    if term is None:
        w = _solve(equations, alpha)
    else:
        w = _put_in_order(equations, alpha, term, len(rows), start)
    return w, equations.target_mean - float(equations.feature_mean @ w)


def evaluate_with_ladders(
    features: Tensor,
    scores: Tensor,
    splits: Sequence[Split],
    results: Sequence[SplitResult],
    term: LadderTerm,
) -> list[dict[str, float]]:
    """The measures of each split's test part when the ladders take part in the fit.

    Parameters
    ----------
    features, scores, splits : as for :func:`shamisa_cli.probing.protocol.evaluate`.
    results : of plain ridge; each split's strength is taken from there.
    term : its photos must have nothing to do with the dataset's.
    """
    made = []
    w: Tensor | None = None
    for split, result in zip(splits, results, strict=True):
        w, b = fit_head(features[split.train], scores[split.train], result.alpha, term, w)
        predictions = (image_features(features[split.test]) @ w + b).numpy()
        made.append(measure_all(predictions, scores[split.test].double().numpy()))
    return made


def adjacent_differences(ladders: Ladders) -> Tensor:
    """(4n, F) float64: features of each level minus those of the next severer one."""
    return (ladders.features[:, :-1].double() - ladders.features[:, 1:]).flatten(0, 1)


def _put_in_order(
    equations: NormalEquations,
    alpha: float,
    term: LadderTerm,
    n_rows: int,
    start: Tensor | None,
) -> Tensor:
    """Newton's method for the squared hinge, from ``start`` or from plain ridge."""
    differences = adjacent_differences(term.ladders)
    omega = term.weight * n_rows / len(differences)
    w = _solve(equations, alpha) if start is None else start
    solved_for: Tensor | None = None
    for _ in range(MAX_ROUNDS):
        short = differences @ w < term.gap
        if solved_for is not None and torch.equal(short, solved_for):
            break
        solved_for = short
        rows = differences[short]
        w = _solve(
            NormalEquations(
                torch.addmm(equations.gram, rows.T, rows, alpha=omega),
                equations.correlation + omega * term.gap * rows.sum(0),
                equations.feature_mean,
                equations.target_mean,
            ),
            alpha,
        )
    return w


def _solve(equations: NormalEquations, alpha: float) -> Tensor:
    """(XᵀX + αI)⁻¹ Xᵀt, (F,)."""
    damped = equations.gram.clone()
    damped.diagonal().add_(alpha)
    factor = torch.linalg.cholesky(damped)
    return torch.cholesky_solve(equations.correlation[:, None], factor)[:, 0]
