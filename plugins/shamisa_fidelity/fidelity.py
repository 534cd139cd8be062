"""`fidelity`: tell from the representation how far a crop is from its reference."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from shamisa_cli.distortions.layout import BatchLayout
from shamisa_cli.graphs.linear import seeded_linear
from shamisa_cli.graphs.source import GraphInputs, GraphSource
from shamisa_fidelity.mdsi import mdsi

_UNIT = 0.1
"""MDSI of crops spreads by about this much, so the loss is of order 1 before training."""


class Fidelity(GraphSource):
    """Label-free auxiliary loss: estimate each crop's full-reference quality from h. No edges.

    Not in the paper. During training the reference of every crop is at hand, so that a
    full-reference metric can say how much worse the crop looks; a linear head on
    batch-normalised h estimates that without the reference, and is thrown away after
    pre-training. References themselves take part with a distance of 0. The loss is part of L_inv,
    so the objective multiplies it by its weight.

    Parameters
    ----------
    weight : ≥ 0, of the smooth L1 error of MDSI in units of 0.1.
    """

    coeff = 0.0
    uses_crops: ClassVar[bool] = True

    head: nn.Sequential

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        if weight < 0:
            raise ValueError("weight must be at least 0")
        self.weight = weight

    def prepare(self, feature_size: int, generator: torch.Generator) -> None:
        self.head = nn.Sequential(
            nn.BatchNorm1d(feature_size, affine=False), seeded_linear(feature_size, 1, generator)
        )

    def auxiliary_loss(self, h: Tensor, inputs: GraphInputs) -> Tensor:
        """weight · mean smooth L1 of head(h) against MDSI / 0.1, over all crops."""
        if inputs.crops is None:
            raise ValueError("fidelity needs the crops themselves")
        with torch.no_grad():
            target = distances(inputs.crops, inputs.layout) / _UNIT
        return self.weight * F.smooth_l1_loss(self.head(h)[:, 0], target)


def distances(crops: Tensor, layout: BatchLayout) -> Tensor:
    """(N,) MDSI of every crop of (N, 3, H, W) from its own reference; 0 for references."""
    n = layout.n_references
    references = crops[layout.own_reference.to(crops.device)].float()
    return torch.cat([references.new_zeros(n), mdsi(references, crops[n:].float())])
