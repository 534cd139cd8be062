"""`ref_dist`: each reference and its distorted crops, the milder the nearer (docs/method.md §4)."""

from __future__ import annotations

import torch
from torch import Tensor

from shamisa_cli.graphs.graph import Graph
from shamisa_cli.graphs.source import GraphInputs, GraphSource, Role


class RefDist(GraphSource):
    """Reference ↔ each of its distorted crops in the same view, weight w(λ_v).

    λ_v is the severity of the varying function at that crop's level: a mild crop stays near its
    pristine anchor, a strong one may leave.
    """

    coeff = 0.8039
    needs = frozenset({"composition"})

    def build(self, inputs: GraphInputs) -> Graph:
        severity = inputs.require_composition().varying_severity
        references = (inputs.role == Role.REFERENCE).nonzero()[:, 0]
        own = inputs.image[references, None] == inputs.image
        own &= inputs.view[references, None] == inputs.view
        row, distorted = (own & (inputs.role == Role.DISTORTED)).nonzero(as_tuple=True)
        i, j = torch.stack([references[row], distorted]).sort(0).values
        return Graph(inputs.n, i, j, severity_weight(severity[distorted]))


def severity_weight(t: Tensor) -> Tensor:
    """w(t) = exp(−3t): from 1 at t = 0 strictly down to 0.05 at t = 1 (docs/method.md §4)."""
    return torch.exp(-3 * t)
