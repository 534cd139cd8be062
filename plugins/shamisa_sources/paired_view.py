"""`paired_view`: the same distortion on different photos."""

from __future__ import annotations

import torch

from shamisa_cli.graphs.edges import same_composition_pairs
from shamisa_cli.graphs.graph import Graph
from shamisa_cli.graphs.source import GraphInputs, GraphSource


class PairedView(GraphSource):
    """Same tiny-batch, group and level, same scale view, different reference: 1 (method.md §4)."""

    coeff = 0.6011

    def build(self, inputs: GraphInputs) -> Graph:
        i, j = same_composition_pairs(inputs.layout, inputs.h.device)
        return Graph(inputs.layout.n, i, j, torch.ones(i.shape, device=i.device))
