"""Fit a head on human scores and, if wanted, on severity ladders as well.

Human scores say how good photos look; few datasets say that more of a distortion never looks
better. A ladder says nothing but that. So ladders enter as differences without intercept: between
adjacent levels, d_j = f(λ_i) − f(λ_{i+1}), where d_j·w should be at least a gap g_j; and between
the mildest and the strongest, where it should be at least a drop. A difference that exceeds its gap
is let go, as in a ranking support vector machine with squared hinge loss (Chapelle & Keerthi,
"Efficient algorithms for ranking with SVMs", Information Retrieval 13, 2010). The loss

    Σ_i (x_i·w + b − y_i)²  +  ω Σ_j max(0, g_j − d_j·w)²  +  α ‖w‖²

is convex, and its minimum is found by ridge regressions over the differences that are short of
their gaps, until these stay the same. A step that would raise the loss is halved (such loops can
turn in a circle otherwise: Keerthi & DeCoste, "A modified finite Newton method for fast solution of
large scale linear SVMs", JMLR 6, 2005).
"""

from __future__ import annotations

import torch
from torch import Tensor

from shamisa_cli.errors import ShamisaError
from shamisa_cli.evaluation.evaluate import crop_rows
from shamisa_cli.evaluation.ridge import normal_equations
from shamisa_cli.ladders.differences import LadderTerm, ShortDifferences

MAX_ROUNDS = 100
MAX_HALVINGS = 40


class HeadFit:
    """Fits to one set of scored images (state: what every fit to them shares).

    Parameters
    ----------
    features : (n, K, F) float32.
    scores : (n,), higher is better.
    ladders : severity ladders to put in order as well, or None for plain ridge.

    Notes
    -----
    Solved by the Gram matrix of the features (F×F), or by that of the rows where these are fewer;
    both are exact.
    """

    def __init__(
        self, features: Tensor, scores: Tensor, ladders: ShortDifferences | None = None
    ) -> None:
        rows, targets = crop_rows(features, scores)
        count = len(rows) + (len(ladders) if ladders else 0)
        solver = ByFeatures if rows.shape[1] <= count else ByRows
        self._solver = solver(rows, targets, ladders)
        self._omega = ladders.term.weight * len(rows) / len(ladders) if ladders else 0.0
        self._ladders = ladders

    def solve(self, alpha: float, start: Tensor | None = None) -> tuple[Tensor, float]:
        """Weights (F,) float64 and bias for ridge strength ``alpha``.

        Parameters
        ----------
        start : (F,) weights of a similar fit; saves rounds and changes nothing else.

        Raises
        ------
        ShamisaError
            if no minimum is found, which takes extreme weights and strengths.
        """
        if self._ladders is None:
            w = self._solver.solve(alpha, 0.0)
        else:
            w = self._in_order(self._ladders, alpha, start)
        return w, self._solver.target_mean - float(self._solver.feature_mean @ w)

    def _in_order(self, ladders: ShortDifferences, alpha: float, start: Tensor | None) -> Tensor:
        """Newton's method for the squared hinge, with a line search."""
        if start is None:
            ladders.clear()
            start = self._solver.solve(alpha, self._omega)
        w = start
        for _ in range(MAX_ROUNDS):
            ladders.update(w)
            aim = self._solver.solve(alpha, self._omega)
            if not ladders.update(aim):
                return aim
            lower = self._lower(w, aim, alpha)
            if lower is None:  # what is left to gain is less than rounding
                return w
            w = lower
        raise ShamisaError(
            f"no minimum found for a head with ladders in {MAX_ROUNDS} rounds, at ridge strength "
            f"{alpha:g}; give a smaller --ladder-weight"
        )

    def _lower(self, w: Tensor, aim: Tensor, alpha: float) -> Tensor | None:
        """Between ``w`` and ``aim``, weights of a loss below that of ``w``; None if there are none.

        The loss is convex, so along the way from ``aim`` to ``w`` it falls, then rises.
        """
        found, lowest = aim, self._loss(aim, alpha)
        for halvings in range(1, MAX_HALVINGS):
            nearer = w + (aim - w) * 0.5**halvings
            loss = self._loss(nearer, alpha)
            if loss >= lowest:
                break
            found, lowest = nearer, loss
        return found if lowest < self._loss(w, alpha) else None

    def _loss(self, w: Tensor, alpha: float) -> float:
        """The loss of the module's docstring at ``w``, but for a constant."""
        hinge = self._ladders.hinge(w) if self._ladders is not None else 0.0
        return self._solver.misfit(w) + self._omega * hinge + alpha * float(w @ w)


class ByFeatures:
    """(XᵀX + ω DᵀD + αI)⁻¹ (Xᵀt + ω Dᵀg) over the short differences D; F×F.

    Parameters
    ----------
    rows, targets : (n, F) and (n,); X and t are these, centered.
    differences : D and g, or None.
    """

    def __init__(self, rows: Tensor, targets: Tensor, differences: ShortDifferences | None) -> None:
        self._equations = normal_equations(rows, targets)
        self._differences = differences
        self.feature_mean = self._equations.feature_mean
        self.target_mean = self._equations.target_mean

    def solve(self, alpha: float, omega: float) -> Tensor:
        """Weights (F,) float64."""
        gram, pull = self._equations.gram, self._equations.correlation
        if self._differences is not None:
            of_short, towards = self._differences.sums()
            gram, pull = torch.add(gram, of_short, alpha=omega), pull + omega * towards
        return solve_damped(gram, pull, alpha)

    def misfit(self, w: Tensor) -> float:
        """‖Xw − t‖² but for a constant."""
        return float(w @ (self._equations.gram @ w) - 2 * (w @ self._equations.correlation))


class ByRows:
    """Rᵀ (RRᵀ + αI)⁻¹ r with the rows R = [X; √ω D] and r = [t; √ω g]; the same weights.

    Parameters
    ----------
    rows, targets, differences : see :class:`ByFeatures`.
    """

    def __init__(self, rows: Tensor, targets: Tensor, differences: ShortDifferences | None) -> None:
        rows, targets = rows.double(), targets.double()
        self.feature_mean, self.target_mean = rows.mean(0), float(targets.mean())
        self._rows, self._targets = rows - self.feature_mean, targets - self.target_mean
        self._own = self._rows @ self._rows.T
        self._differences = differences
        if differences is not None:
            self._cross = self._rows @ differences.rows.T

    def solve(self, alpha: float, omega: float) -> Tensor:
        """Weights (F,) float64."""
        if self._differences is None:
            return self._rows.T @ solve_damped(self._own, self._targets, alpha)
        short, root = self._differences.short, omega**0.5
        cross = root * self._cross[:, short]
        within = omega * self._differences.kernel[short][:, short]
        kernel = torch.cat([torch.cat([self._own, cross], 1), torch.cat([cross.T, within], 1)])
        wanted = torch.cat([self._targets, root * self._differences.gaps[short]])
        shares = solve_damped(kernel, wanted, alpha)
        own, others = shares.tensor_split([len(self._targets)])
        return self._rows.T @ own + root * (self._differences.rows[short].T @ others)

    def misfit(self, w: Tensor) -> float:
        """‖Xw − t‖²."""
        return float((self._rows @ w - self._targets).square().sum())


def fit_head(
    features: Tensor, scores: Tensor, alpha: float, term: LadderTerm | None = None
) -> tuple[Tensor, float]:
    """One fit of :class:`HeadFit`: weights (F,) float64 and bias."""
    return HeadFit(features, scores, ShortDifferences(term) if term else None).solve(alpha)


def solve_damped(gram: Tensor, right: Tensor, alpha: float) -> Tensor:
    """(gram + αI)⁻¹ right, (k,), for a positive semidefinite ``gram`` (k, k)."""
    damped = gram.clone()
    damped.diagonal().add_(alpha)
    return torch.cholesky_solve(right[:, None], torch.linalg.cholesky(damped))[:, 0]
