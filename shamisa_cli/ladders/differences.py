"""What severity ladders ask of a head: differences of features that should make scores fall."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from shamisa_cli.ladders.ladder import Ladders


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
        self.rows, self.gaps = ladder_differences(term)
        self.short = torch.zeros(len(self.rows), dtype=torch.bool)
        self._summed = self.short
        self._towards = self.rows.new_zeros(self.rows.shape[1])

    def __len__(self) -> int:
        """All differences, short or not."""
        return len(self.rows)

    def clear(self) -> None:
        """None are short."""
        self.short = torch.zeros_like(self.short)

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
        size = self.rows.shape[1]
        return self.rows.new_zeros(size, size)

    @cached_property
    def kernel(self) -> Tensor:
        """(m, m) float64, the products of all differences with each other."""
        return self.rows @ self.rows.T


def ladder_differences(term: LadderTerm) -> tuple[Tensor, Tensor]:
    """Rows and gaps of :class:`ShortDifferences`: adjacent levels, then first and last."""
    features = term.ladders.features.double()
    steps = (features[:, :-1] - features[:, 1:]).flatten(0, 1)
    gaps = torch.full((len(steps),), term.gap, dtype=torch.float64)
    if term.drop == 0:
        return steps, gaps
    falls = features[:, 0] - features[:, -1]
    drops = torch.full((len(falls),), term.drop, dtype=torch.float64)
    return torch.cat([steps, falls]), torch.cat([gaps, drops])
