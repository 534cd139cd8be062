"""A sparse, symmetric, weighted graph without self-loops over the N crops of a mini-batch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Graph:
    """Undirected edges, each stored once with i < j, so that A = Aᵀ and A_ii = 0 by construction.

    Attributes
    ----------
    n : number of nodes.
    i, j : (E,) int64, i < j, every pair at most once.
    weight : (E,) float, ≥ 0.
    """

    n: int
    i: Tensor
    j: Tensor
    weight: Tensor

    @classmethod
    def empty(cls, n: int, device: torch.device | str = "cpu") -> Graph:
        """A graph with no edge."""
        none = torch.empty(0, dtype=torch.int64, device=device)
        return cls(n, none, none, torch.empty(0, device=device))

    @property
    def n_edges(self) -> int:
        """Undirected edges."""
        return self.weight.numel()

    def dense(self) -> Tensor:
        """(n, n) symmetric matrix A; for tests and pictures."""
        a = self.weight.new_zeros(self.n, self.n)
        a[self.i, self.j] = self.weight
        a[self.j, self.i] = self.weight
        return a
