"""`ref_dist`: each reference and its distorted crops, the milder the nearer."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from shamisa_cli.distortions.layout import BatchLayout
from shamisa_cli.graphs.graph import Graph
from shamisa_cli.graphs.source import GraphInputs, GraphSource
from shamisa_sources.decay import severity_weight


class RefDist(GraphSource):
    """Reference ↔ each of its distorted crops in the same view, weight w(λ_v) (method.md §4).

    λ_v is the severity of the varying function at that crop's level: a mild crop stays near its
    pristine anchor, a strong one may leave.
    """

    coeff = 0.8039

    def build(self, inputs: GraphInputs) -> Graph:
        reference, distorted = _pairs(inputs.layout, inputs.h.device)
        severity = inputs.metadata.node_varying_severity(inputs.layout)
        weight = severity_weight(severity[distorted])
        return Graph(inputs.layout.n, reference, distorted, weight)


@lru_cache(maxsize=16)
def _pairs(layout: BatchLayout, device: torch.device) -> tuple[Tensor, Tensor]:
    """(reference, distorted crop) of one photo and view."""
    distorted = torch.arange(layout.n_references, layout.n)
    return layout.own_reference.to(device), distorted.to(device)
