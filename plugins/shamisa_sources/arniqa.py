"""`arniqa`: the same degradation on different contents."""

from __future__ import annotations

import torch

from shamisa_cli.graphs.edges import same_composition_pairs
from shamisa_cli.graphs.graph import Graph
from shamisa_cli.graphs.source import GraphInputs, GraphSource


class Arniqa(GraphSource):
    """ARNIQA's positives: one composition and level, different photos, one scale view.

    Agnolucci, Galteri, Bertini, Del Bimbo, "ARNIQA: Learning Distortion Manifold for Image Quality
    Assessment", WACV 2024: two crops of different images degraded alike are positives, at full
    scale and at half scale apart (a half-scale version is a hard negative there, so crops of
    different views are not joined here). Undistorted references have no partner.
    """

    def build(self, inputs: GraphInputs) -> Graph:
        i, j = same_composition_pairs(inputs.layout, inputs.h.device)
        return Graph(inputs.layout.n, i, j, torch.ones(i.shape, device=i.device))
