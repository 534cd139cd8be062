"""Fit a head on human scores and on severity ladders together.

Human scores say how good photos look; few datasets say that more of a distortion never looks
better. A ladder says nothing but that. So ladders enter as differences without intercept: between
adjacent levels, d_j = f(λ_i) − f(λ_{i+1}), where d_j·w should be at least a gap g_j; and between
the mildest and the strongest, where it should be at least a drop. A difference that exceeds its gap
is let go, as in a ranking support vector machine with squared hinge loss (Chapelle & Keerthi,
"Efficient algorithms for ranking with SVMs", Information Retrieval 13, 2010). The loss

    Σ_i (x_i·w + b − y_i)²  +  ω Σ_j max(0, g_j − d_j·w)²  +  s ‖w‖²

with the ridge strength s, is convex. Its minimum is found by ridge regressions over the differences
that are short of their gaps, until these stay the same. A step that would raise the loss is halved
(such loops may never end otherwise: Keerthi & DeCoste, "A modified finite Newton method for fast
solution of large scale linear SVMs", JMLR 6, 2005).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from shamisa_cli.errors import ShamisaError
from shamisa_cli.evaluation.ridge import crop_rows, normal_equations
from shamisa_cli.ladders.ladder import Ladders

MAX_ROUNDS = 100
MAX_HALVINGS = 40


@dataclass(frozen=True)
class LadderTerm:
    """The ladders' part of a fit.

    Attributes
    ----------
    ladders : whose levels should be in order.
    weight : what all differences count together, where all crops of the scored images count 1
        together; ω is this times the number of crops over the number of differences.
    gap : by which the score should fall from a level to the next, in units of the scores.
    drop : by which it should fall from the mildest to the strongest; 0 asks for nothing more.
    """

    ladders: Ladders
    weight: float
    gap: float
    drop: float = 0.0


class ShortDifferences:
    """The differences of a term, and which of them are short of their gaps.

    State: the latter, and the sums over them. They hardly change from one fit to a similar one, so
    only what changed is added or taken away.

    Attributes
    ----------
    rows : (m, F) float64, features of the milder level minus those of the stronger.
    gaps : (m,) float64, by which their score should differ.
    short : (m,) bool.
    """

    def __init__(self, term: LadderTerm) -> None:
        self.term = term
        levels = term.ladders.features.double()
        steps, falls = (levels[:, :-1] - levels[:, 1:]).flatten(0, 1), levels[:, 0] - levels[:, -1]
        falls = falls[: len(falls) if term.drop else 0]
        self.rows = torch.cat([steps, falls])
        self.gaps = torch.tensor(
            [term.gap] * len(steps) + [term.drop] * len(falls), dtype=torch.float64
        )
        self.short = torch.zeros(len(self.rows), dtype=torch.bool)
        self._summed = self.short
        self._towards = self.rows.new_zeros(self.rows.shape[1])

    def update(self, w: Tensor) -> bool:
        """Find those that are short with weights ``w`` (F,); True if others than before."""
        before, self.short = self.short, self.rows @ w < self.gaps
        return not torch.equal(self.short, before)

    def hinge(self, w: Tensor) -> float:
        """Σ max(0, g − d·w)² over all differences, with weights ``w`` (F,)."""
        return float((self.gaps - self.rows @ w).clamp_min(0).square().sum())

    def sums(self) -> tuple[Tensor, Tensor]:
        """DᵀD (F, F) and Dᵀg (F,) of the short differences D with gaps g; not to be changed."""
        changed = self.short != self._summed
        rows = self.rows[changed]
        signed = torch.where(self.short[changed], 1.0, -1.0).double()[:, None] * rows
        self._gram.addmm_(signed.T, rows)
        self._towards += signed.T @ self.gaps[changed]
        self._summed = self.short
        return self._gram, self._towards

    @cached_property
    def _gram(self) -> Tensor:
        """(F, F) float64, made when first asked for: fits by rows need none."""
        return self.rows.new_zeros(self.rows.shape[1], self.rows.shape[1])

    @cached_property
    def kernel(self) -> Tensor:
        """(m, m) float64, the products of all differences with each other."""
        return self.rows @ self.rows.T


class HeadFit:
    """Fits to scored images, features (n, K, F) and scores (n,), and to differences of ladders.

    State: what every fit to them shares. Solved by the Gram matrix of the features (F×F), or by
    that of the rows where these are fewer; both are exact.
    """

    def __init__(self, features: Tensor, scores: Tensor, ladders: ShortDifferences) -> None:
        rows, targets = crop_rows(features, scores)
        solver = ByFeatures if rows.shape[1] <= len(rows) + len(ladders.rows) else ByRows
        self._solver = solver(rows, targets, ladders)
        self._omega = ladders.term.weight * len(rows) / len(ladders.rows)
        self._ladders = ladders

    def solve(self, strength: float, start: Tensor | None = None) -> tuple[Tensor, float]:
        """Weights (F,) float64 and bias for ridge strength ``strength``.

        ``start``, the weights (F,) of a similar fit, saves rounds and changes nothing else.
        """
        w = self._minimum(strength, start)
        return w, self._solver.target_mean - float(self._solver.feature_mean @ w)

    def _minimum(self, strength: float, start: Tensor | None) -> Tensor:
        """Newton's method for the squared hinge, with a line search."""
        ladders = self._ladders
        if start is None:
            ladders.short = torch.zeros_like(ladders.short)
            start = self._solver.solve(strength, self._omega)
        w = start
        for _ in range(MAX_ROUNDS):
            ladders.update(w)
            aim = self._solver.solve(strength, self._omega)
            if not ladders.update(aim):
                return aim
            lower = self._lower(w, aim, strength)
            if lower is None:  # what is left to gain is less than rounding
                return w
            w = lower
        raise ShamisaError(
            f"no minimum found for a head with ladders in {MAX_ROUNDS} rounds, at ridge strength "
            f"{strength:g}; give ladders a smaller weight"
        )

    def _lower(self, w: Tensor, aim: Tensor, strength: float) -> Tensor | None:
        """Between ``w`` and ``aim``, weights of a loss below that of ``w``; None if there are none.

        The loss is convex, so along the way from ``aim`` to ``w`` it falls, then rises.
        """
        found, lowest = aim, self._loss(aim, strength)
        for halvings in range(1, MAX_HALVINGS):
            nearer = w + (aim - w) * 0.5**halvings
            loss = self._loss(nearer, strength)
            if loss >= lowest:
                break
            found, lowest = nearer, loss
        return found if lowest < self._loss(w, strength) else None

    def _loss(self, w: Tensor, strength: float) -> float:
        """The loss of the module's docstring at ``w``, but for a constant."""
        hinge = self._omega * self._ladders.hinge(w)
        return self._solver.misfit(w) + hinge + strength * float(w @ w)


class ByFeatures:
    """(XᵀX + ω DᵀD + sI)⁻¹ (Xᵀt + ω Dᵀg) over the short differences D with gaps g; F×F.

    X and t are ``rows`` (n, F) and ``targets`` (n,), centered.
    """

    def __init__(self, rows: Tensor, targets: Tensor, differences: ShortDifferences) -> None:
        self._equations = normal_equations(rows, targets)
        self._differences = differences
        self.feature_mean = self._equations.feature_mean
        self.target_mean = self._equations.target_mean

    def solve(self, strength: float, omega: float) -> Tensor:
        """Weights (F,) float64."""
        of_short, towards = self._differences.sums()
        gram = torch.add(self._equations.gram, of_short, alpha=omega)
        return solve_damped(gram, self._equations.correlation + omega * towards, strength)

    def misfit(self, w: Tensor) -> float:
        """‖Xw − t‖² but for a constant."""
        return float(w @ (self._equations.gram @ w) - 2 * (w @ self._equations.correlation))


class ByRows:
    """Rᵀ (RRᵀ + sI)⁻¹ r with the rows R = [X; √ω D] and r = [t; √ω g]; the same weights."""

    def __init__(self, rows: Tensor, targets: Tensor, differences: ShortDifferences) -> None:
        rows, targets = rows.double(), targets.double()
        self.feature_mean, self.target_mean = rows.mean(0), float(targets.mean())
        self._rows, self._targets = rows - self.feature_mean, targets - self.target_mean
        self._own = self._rows @ self._rows.T
        self._differences = differences
        self._cross = self._rows @ differences.rows.T

    def solve(self, strength: float, omega: float) -> Tensor:
        """Weights (F,) float64."""
        short, root = self._differences.short, omega**0.5
        cross = root * self._cross[:, short]
        within = omega * self._differences.kernel[short][:, short]
        kernel = torch.cat([torch.cat([self._own, cross], 1), torch.cat([cross.T, within], 1)])
        wanted = torch.cat([self._targets, root * self._differences.gaps[short]])
        shares = solve_damped(kernel, wanted, strength)
        own, others = shares.tensor_split([len(self._targets)])
        return self._rows.T @ own + root * (self._differences.rows[short].T @ others)

    def misfit(self, w: Tensor) -> float:
        """‖Xw − t‖²."""
        return float((self._rows @ w - self._targets).square().sum())


def fit_with_ladders(
    features: Tensor, scores: Tensor, strength: float, term: LadderTerm
) -> tuple[Tensor, float]:
    """One fit of :class:`HeadFit`: weights (F,) float64 and bias."""
    return HeadFit(features, scores, ShortDifferences(term)).solve(strength)


def solve_damped(gram: Tensor, right: Tensor, strength: float) -> Tensor:
    """(gram + sI)⁻¹ right, (k,), for a positive semidefinite ``gram`` (k, k)."""
    damped = gram.clone()
    damped.diagonal().add_(strength)
    return torch.cholesky_solve(right[:, None], torch.linalg.cholesky(damped))[:, 0]
