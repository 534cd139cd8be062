"""What the engine did to a mini-batch, as tensors; graphs are made of it (docs/method.md §2)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from shamisa_cli.distortions.layout import BatchLayout

MAX_FUNCTIONS = 7
"""M is at most the number of categories."""


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
    def lengths(self) -> Tensor:
        """(B, C) int64: M, the number of functions of each composition."""
        return (self.functions >= 0).sum(-1)

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
