"""`ref_ref`: all references of the mini-batch, a weak common anchor of high quality."""

from __future__ import annotations

from shamisa_cli.graphs.edges import binary_graph
from shamisa_cli.graphs.graph import Graph
from shamisa_cli.graphs.source import GraphInputs, GraphSource


class RefRef(GraphSource):
    """Every two references of the mini-batch, any photo and view: 1 (method.md §4)."""

    coeff = 0.5766

    def build(self, inputs: GraphInputs) -> Graph:
        is_reference = inputs.layout.is_reference.to(inputs.h.device)
        return binary_graph(is_reference[:, None] & is_reference[None, :])
