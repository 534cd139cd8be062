"""The one fixed order of the crops of a mini-batch, and what was done to them (docs/method.md §1).

Nodes 0 … n_references-1 are the references in the order (tiny-batch, view, reference); then come
the distorted crops in the order (tiny-batch, view, reference, group, level). Every other module
asks this one where a crop stands.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

MAX_FUNCTIONS = 7
"""M is at most the number of categories."""


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


@dataclass(frozen=True)
class BatchMetadata:
    """The compositions of a mini-batch, one per (tiny-batch, group, level).

    Attributes
    ----------
    functions : (B, C, 7) int64
        ids of the drawn entries (see ``registry.ENTRIES``) in order of application, -1 after them.
    severities : (B, C, L, 7) float32
        the severities λ in [0, 1] in order of application, as applied (integer parameters are
        rounded and their λ recomputed), 0 after the M-th.
    varying : (B, C) int64
        the position v, 0 … M-1, of the one function whose severity differs between the levels.
    """

    functions: Tensor
    severities: Tensor
    varying: Tensor

    @property
    def varying_severity(self) -> Tensor:
        """(B, C, L) float32: λ_v of each group and level."""
        index = self.varying[..., None, None].expand(*self.severities.shape[:3], 1)
        return self.severities.gather(-1, index).squeeze(-1)

    def to(self, device: torch.device | str) -> BatchMetadata:
        """The same facts on another device."""
        return BatchMetadata(
            self.functions.to(device), self.severities.to(device), self.varying.to(device)
        )

    def of_tiny_batch(self, b: int) -> BatchMetadata:
        """The facts of one tiny-batch, as those of a mini-batch of one."""
        return BatchMetadata(
            self.functions[b : b + 1], self.severities[b : b + 1], self.varying[b : b + 1]
        )

    def node_varying_severity(self, layout: BatchLayout) -> Tensor:
        """(N,) float32: λ_v of each node of ``layout``; NaN for references, which have none."""
        coordinates = layout.coordinates.to(self.severities.device)
        values = self.varying_severity[coordinates[:, 0], coordinates[:, 3], coordinates[:, 4]]
        return torch.where(coordinates[:, 3] >= 0, values, torch.nan)
