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

from dataclasses import dataclass

import torch
from torch import Tensor

from shamisa_cli.probing.ladder import Ladders
from shamisa_cli.probing.protocol import crop_rows
from shamisa_cli.probing.ridge import normal_equations

MAX_ROUNDS = 30


@dataclass(frozen=True)
class LadderTerm:
    """The ladders' part of the fit.

    Attributes
    ----------
    ladders : whose adjacent levels should be in order.
    weight : what all differences count together, where all crops of the scored images count 1
        together; ω is this times the number of crops over the number of differences.
    gap : g, in units of the scores.
    """

    ladders: Ladders
    weight: float
    gap: float


class HeadFit:
    """Fits to one set of scored images (state: their normal equations, which every fit shares).

    Parameters
    ----------
    features : (n, K, F) float32.
    scores : (n,), higher is better.
    term : severity ladders to put in order as well, or None for plain ridge.
    """

    def __init__(self, features: Tensor, scores: Tensor, term: LadderTerm | None = None) -> None:
        rows, targets = crop_rows(features, scores)
        self._equations = normal_equations(rows, targets)
        if term is not None:
            self._differences = adjacent_differences(term.ladders)
            self._gap = term.gap
            self._omega = term.weight * len(rows) / len(self._differences)
        self._with_ladders = term is not None

    def solve(self, alpha: float, start: Tensor | None = None) -> tuple[Tensor, float]:
        """Weights (F,) float64 and bias for ridge strength ``alpha``.

        Parameters
        ----------
        start : (F,) weights of a similar fit; saves rounds and changes nothing else.
        """
        if not self._with_ladders:
            w = _solve(self._equations.gram, self._equations.correlation, alpha)
        else:
            w = self._in_order(alpha, start)
        return w, self._equations.target_mean - float(self._equations.feature_mean @ w)

    def _in_order(self, alpha: float, start: Tensor | None) -> Tensor:
        """Newton's method for the squared hinge, from ``start`` or from plain ridge."""
        gram, correlation = self._equations.gram.clone(), self._equations.correlation.clone()
        w = _solve(gram, correlation, alpha) if start is None else start
        active = torch.zeros(len(self._differences), dtype=torch.bool)
        solved = start is None
        for _ in range(MAX_ROUNDS):
            short = self._differences @ w < self._gap
            changed = short != active
            if solved and not changed.any():
                break
            rows = self._differences[changed]
            signed = torch.where(short[changed], self._omega, -self._omega)[:, None] * rows
            gram.addmm_(signed.T, rows)
            correlation += self._gap * signed.sum(0)
            active, solved = short, True
            w = _solve(gram, correlation, alpha)
        return w


def fit_head(
    features: Tensor, scores: Tensor, alpha: float, term: LadderTerm | None = None
) -> tuple[Tensor, float]:
    """One fit of :class:`HeadFit`: weights (F,) float64 and bias."""
    return HeadFit(features, scores, term).solve(alpha)


def adjacent_differences(ladders: Ladders) -> Tensor:
    """(4n, F) float64: features of each level minus those of the next severer one."""
    return (ladders.features[:, :-1].double() - ladders.features[:, 1:]).flatten(0, 1)


def _solve(gram: Tensor, correlation: Tensor, alpha: float) -> Tensor:
    """(gram + αI)⁻¹ correlation, (F,)."""
    damped = gram.clone()
    damped.diagonal().add_(alpha)
    return torch.cholesky_solve(correlation[:, None], torch.linalg.cholesky(damped))[:, 0]
