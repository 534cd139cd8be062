"""`ref_ref`: all references, a weak common anchor of high quality (docs/method.md §4)."""

from __future__ import annotations

import torch

from shamisa_cli.graphs.graph import Graph
from shamisa_cli.graphs.source import GraphInputs, GraphSource, Role


class RefRef(GraphSource):
    """Every two references of the mini-batch, any photo and view: 1."""

    coeff = 0.5766
    needs = frozenset({"composition"})  # without the engine no crop is known to be pristine

    def build(self, inputs: GraphInputs) -> Graph:
        references = (inputs.role == Role.REFERENCE).nonzero()[:, 0]
        i, j = torch.combinations(references).unbind(1)
        return Graph(inputs.n, i, j, torch.ones(i.shape, device=i.device))
