"""`dist_dist`: distorted crops of a group, near in severity, are near (docs/method.md §4)."""

from __future__ import annotations

from shamisa_cli.graphs.graph import Graph, equal_pairs, keep_largest, pairs_of
from shamisa_cli.graphs.source import GraphInputs, GraphSource
from shamisa_sources.ref_dist import Decay, checked, severity_weight


class DistDist(GraphSource):
    """Distorted crops of a group, any photos, views, levels: w(|λ_v − λ_v'|).

    Parameters
    ----------
    entries : K ≥ 2; only the K largest entries of the symmetric matrix stay, which are K/2
        undirected edges. Of equal weights those of the first nodes stay.
    decay : of w with the difference, see :func:`~shamisa_sources.ref_dist.severity_weight`.
    """

    coeff = 0.1790
    needs = frozenset({"composition"})

    def __init__(self, entries: int = 4096, decay: Decay = "exponential") -> None:
        super().__init__()
        if entries < 2:
            raise ValueError(f"entries must be at least 2, got {entries}")
        self.entries = entries
        self.decay = checked(decay)

    def build(self, inputs: GraphInputs) -> Graph:
        made = inputs.require_composition()
        i, j = pairs_of(equal_pairs(made.group) & (made.group >= 0))
        apart = (made.varying_severity[i] - made.varying_severity[j]).abs()
        weight = severity_weight(apart, self.decay)
        return keep_largest(Graph(inputs.n, i, j, weight), self.entries)
