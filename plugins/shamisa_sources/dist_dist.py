"""`dist_dist`: distorted crops of one composition group, the nearer in severity the nearer."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from shamisa_cli.distortions.layout import BatchLayout
from shamisa_cli.graphs.edges import equal_pairs, keep_largest, pairs_of
from shamisa_cli.graphs.graph import Graph
from shamisa_cli.graphs.source import GraphInputs, GraphSource
from shamisa_sources.decay import severity_weight


class DistDist(GraphSource):
    """Two distorted crops of a group, any references, views and levels: w(|λ_v − λ_v'|) (§4).

    Parameters
    ----------
    entries : K ≥ 2; only the K largest entries of the symmetric matrix stay, which are K/2
        undirected edges. Of equal weights those of the first nodes stay.
    """

    coeff = 0.1790

    def __init__(self, entries: int = 4096) -> None:
        super().__init__()
        if entries < 2:
            raise ValueError(f"entries must be at least 2, got {entries}")
        self.entries = entries

    def build(self, inputs: GraphInputs) -> Graph:
        i, j = _pairs(inputs.layout, inputs.h.device)
        severity = inputs.metadata.node_varying_severity(inputs.layout)
        weight = severity_weight((severity[i] - severity[j]).abs())
        return keep_largest(Graph(inputs.layout.n, i, j, weight), self.entries)


@lru_cache(maxsize=16)
def _pairs(layout: BatchLayout, device: torch.device) -> tuple[Tensor, Tensor]:
    """Pairs of distorted crops of one tiny-batch and group."""
    one_group = equal_pairs(layout.tiny_batch) & equal_pairs(layout.group)
    i, j = pairs_of(one_group & (layout.group >= 0)[:, None])
    return i.to(device), j.to(device)
