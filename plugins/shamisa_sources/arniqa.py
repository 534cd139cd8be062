"""`arniqa`: the same degradation on different contents."""

from __future__ import annotations

import torch
from torch import Tensor

from shamisa_cli.graphs.graph import Graph
from shamisa_cli.graphs.source import GraphInputs, Role
from shamisa_sources.negatives import WithNegatives
from shamisa_sources.paired_view import same_composition_pairs


class Arniqa(WithNegatives):
    """ARNIQA's positives: one composition and level, different photos, one scale view.

    Agnolucci, Galteri, Bertini, Del Bimbo, "ARNIQA: Learning Distortion Manifold for Image Quality
    Assessment", WACV 2024: two crops of different images degraded alike are positives, at full
    scale and at half scale apart. Undistorted references have no partner. These are the edges of
    `paired_view`.

    Parameters
    ----------
    negatives : hold apart all other pairs of distorted crops, as ARNIQA does; the half-scale
        version of a crop is a hard negative there. References take no part.
    """

    needs = frozenset({"composition"})

    def build(self, inputs: GraphInputs) -> Graph:
        i, j = same_composition_pairs(inputs)
        return Graph(inputs.n, i, j, torch.ones(i.shape, device=i.device))

    def takes_part(self, inputs: GraphInputs) -> Tensor:
        return inputs.role == Role.DISTORTED
