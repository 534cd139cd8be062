"""`degradation`: tell from the representation which functions made a crop, and how severe."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from shamisa_cli.distortions.registry import ENTRIES
from shamisa_cli.graphs.source import GraphInputs, GraphSource, Role, seeded_linear

FUNCTIONS = len(ENTRIES)
"""Entries of the engine: 24 functions, two of them with both signs."""


class Degradation(GraphSource):
    """Label-free auxiliary loss: read each distorted crop's composition from h. No edges.

    Not in the paper. The engine knows which functions it composed and how severe each was, so a
    small head on h can be asked for both. The head is thrown away after pre-training. h is
    batch-normalized first, since unit-length averaged features are nearly equal before training.
    The loss is part of L_inv, so the objective multiplies it by 88.369 with published weights.

    Parameters
    ----------
    function : ≥ 0, weight of the cross-entropy "which of the entries are in the composition".
    severity : ≥ 0, weight of the squared error of λ, over the entries that are.
    hidden : units of a hidden layer; 0 for a linear head.
    """

    coeff = 0.0
    needs = frozenset({"composition"})

    head: nn.Sequential

    def __init__(self, function: float = 1.0, severity: float = 1.0, hidden: int = 0) -> None:
        super().__init__()
        if function < 0 or severity < 0 or hidden < 0:
            raise ValueError("function, severity and hidden must be at least 0")
        self.function = function
        self.severity = severity
        self.hidden = hidden

    def prepare(self, feature_size: int, generator: torch.Generator) -> None:
        layers: list[nn.Module] = [nn.BatchNorm1d(feature_size, affine=False)]
        if self.hidden:
            layers += [seeded_linear(feature_size, self.hidden, generator), nn.ReLU()]
        layers += [seeded_linear(self.hidden or feature_size, 2 * FUNCTIONS, generator)]
        self.head = nn.Sequential(*layers)

    def auxiliary_loss(self, h: Tensor, inputs: GraphInputs) -> Tensor:
        """function·BCE + severity·MSE over the distorted crops; references take no part.

        BCE is the mean over crops and entries, MSE that of λ over the entries in the composition.
        """
        distorted = inputs.role == Role.DISTORTED
        target = inputs.require_composition().severities[distorted].to(h.dtype)
        present = ~target.isnan()
        logits, severity_logits = self.head(h[distorted]).chunk(2, dim=1)
        bce = F.binary_cross_entropy_with_logits(logits, present.to(h.dtype))
        mse = F.mse_loss(severity_logits.sigmoid()[present], target[present])
        return self.function * bce + self.severity * mse
