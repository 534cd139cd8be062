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

    def validate(self, n: int) -> None:
        """Raise ValueError unless this is a graph over ``n`` nodes as described above.

        Repeated pairs are let through: whoever combines graphs sums them.
        """
        if self.n != n:
            raise ValueError(f"it has {self.n} nodes, the mini-batch has {n}")
        if not self.i.shape == self.j.shape == self.weight.shape == (self.n_edges,):
            shapes = f"{tuple(self.i.shape)}, {tuple(self.j.shape)}, {tuple(self.weight.shape)}"
            raise ValueError(f"i, j and weight must be of one length, got the shapes {shapes}")
        ordered = (self.i >= 0) & (self.i < self.j) & (self.j < n)
        if not (ordered & (self.weight >= 0) & self.weight.isfinite()).all():
            raise ValueError("every edge must have 0 ≤ i < j < N and a finite weight ≥ 0")
