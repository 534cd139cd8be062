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


class ShortDifferences:
    """The differences that are short of the gap, and their normal equations.

    State: which these are. They hardly change from one fit to a similar one, so their equations are
    kept, and only what changed is added or taken away.
    """

    def __init__(self, term: LadderTerm) -> None:
        self.term = term
        self._differences = adjacent_differences(term.ladders)
        self._short = torch.zeros(len(self._differences), dtype=torch.bool)
        size = self._differences.shape[1]
        self.gram = torch.zeros(size, size, dtype=torch.float64)
        self.total = torch.zeros(size, dtype=torch.float64)

    def __len__(self) -> int:
        """All differences, short or not."""
        return len(self._differences)

    def update(self, w: Tensor) -> bool:
        """Find those that are short with weights ``w`` (F,); True if others than before."""
        short = self._differences @ w < self.term.gap
        changed = short != self._short
        rows = self._differences[changed]
        signed = torch.where(short[changed], 1.0, -1.0).double()[:, None] * rows
        self.gram.addmm_(signed.T, rows)
        self.total += signed.sum(0)
        self._short = short
        return bool(changed.any())


class HeadFit:
    """Fits to one set of scored images (state: their normal equations, which every fit shares).

    Parameters
    ----------
    features : (n, K, F) float32.
    scores : (n,), higher is better.
    ladders : severity ladders to put in order as well, or None for plain ridge.
    """

    def __init__(
        self, features: Tensor, scores: Tensor, ladders: ShortDifferences | None = None
    ) -> None:
        rows, targets = crop_rows(features, scores)
        self._equations = normal_equations(rows, targets)
        self._n_rows = len(rows)
        self._ladders = ladders

    def solve(self, alpha: float, start: Tensor | None = None) -> tuple[Tensor, float]:
        """Weights (F,) float64 and bias for ridge strength ``alpha``.

        Parameters
        ----------
        start : (F,) weights of a similar fit; saves rounds and changes nothing else.
        """
        if start is None or self._ladders is None:
            w = _solve(self._equations.gram, self._equations.correlation, alpha)
        else:
            w = start
        if self._ladders is not None:
            w = self._in_order(self._ladders, alpha, w)
        return w, self._equations.target_mean - float(self._equations.feature_mean @ w)

    def _in_order(self, ladders: ShortDifferences, alpha: float, w: Tensor) -> Tensor:
        """Newton's method for the squared hinge."""
        omega = ladders.term.weight * self._n_rows / len(ladders)
        ladders.update(w)
        for _ in range(MAX_ROUNDS):
            gram = torch.add(self._equations.gram, ladders.gram, alpha=omega)
            pull = omega * ladders.term.gap * ladders.total
            w = _solve(gram, self._equations.correlation + pull, alpha)
            if not ladders.update(w):
                break
        return w


def fit_head(
    features: Tensor, scores: Tensor, alpha: float, term: LadderTerm | None = None
) -> tuple[Tensor, float]:
    """One fit of :class:`HeadFit`: weights (F,) float64 and bias."""
    return HeadFit(features, scores, ShortDifferences(term) if term else None).solve(alpha)


def adjacent_differences(ladders: Ladders) -> Tensor:
    """(4n, F) float64: features of each level minus those of the next severer one."""
    return (ladders.features[:, :-1].double() - ladders.features[:, 1:]).flatten(0, 1)


def _solve(gram: Tensor, correlation: Tensor, alpha: float) -> Tensor:
    """(gram + αI)⁻¹ correlation, (F,)."""
    damped = gram.clone()
    damped.diagonal().add_(alpha)
    return torch.cholesky_solve(correlation[:, None], torch.linalg.cholesky(damped))[:, 0]
