"""The one fixed order of the crops of a mini-batch (docs/method.md §1).

Nodes 0 … n_references-1 are the references in the order (tiny-batch, view, reference); then come
the distorted crops in the order (tiny-batch, view, reference, group, level). Every other module
asks this one where a crop stands.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True)
class BatchLayout:
    """How many of each there are in a mini-batch; the defaults are the published ones.

    Attributes
    ----------
    tiny_batches : B
    views : V, the scale views: 0 is full scale, 1 is half scale.
    references : R, reference photos of one tiny-batch.
    groups : C, composition groups shared by the references of a tiny-batch.
    levels : L, severity levels of a group.
    """

    tiny_batches: int = 2
    views: int = 2
    references: int = 3
    groups: int = 4
    levels: int = 5

    def __post_init__(self) -> None:
        for name in ("tiny_batches", "views", "references", "groups", "levels"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")

    @property
    def n_references(self) -> int:
        """N_ref = B·V·R."""
        return self.tiny_batches * self.views * self.references

    @property
    def n_distorted(self) -> int:
        """N_dist = B·V·R·C·L."""
        return self.n_references * self.groups * self.levels

    @property
    def n(self) -> int:
        """N = N_ref + N_dist, the crops of one step."""
        return self.n_references + self.n_distorted

    @cached_property
    def coordinates(self) -> Tensor:
        """(N, 5) int64: (tiny-batch, view, reference, group, level); -1, -1 for references."""
        b, v, r = (torch.arange(k) for k in (self.tiny_batches, self.views, self.references))
        references = torch.cartesian_prod(b, v, r).reshape(-1, 3)
        references = torch.cat([references, torch.full((len(references), 2), -1)], dim=1)
        distorted = torch.cartesian_prod(
            b, v, r, torch.arange(self.groups), torch.arange(self.levels)
        ).reshape(-1, 5)
        return torch.cat([references, distorted])

    @property
    def tiny_batch(self) -> Tensor:
        """(N,) int64, the tiny-batch of each node."""
        return self.coordinates[:, 0]

    @property
    def view(self) -> Tensor:
        """(N,) int64, 0 for full scale, 1 for half scale."""
        return self.coordinates[:, 1]
