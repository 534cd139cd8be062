"""`other_image_apart`: crops of different photos are held apart."""

from __future__ import annotations

from shamisa_cli.graphs.graph import Graph, equal_pairs, pairs_of
from shamisa_cli.graphs.source import GraphInputs, GraphSource


class OtherImageApart(GraphSource):
    """Holds crops of different photos apart.

    After LML-IQA (arXiv 2406.19247), its inter-class negatives. ``coeff`` is β_o.

    Parameters
    ----------
    near : a pair of photos whose scores differ by less than this share of the range counts less,
        in proportion, down to 0 for equal scores. With 0 every pair counts 1, as our sources say.
    """

    needs = frozenset({"places"})

    def __init__(self, near: float = 0.0) -> None:
        super().__init__()
        if not 0 <= near <= 1:
            raise ValueError(f"near must be within 0 … 1, got {near}")
        self.near = near

    def build_repulsion(self, inputs: GraphInputs) -> Graph:
        score = inputs.require_places().score
        i, j = pairs_of(~equal_pairs(inputs.image))
        weight = (score[i] - score[j]).abs()
        weight = (weight / self.near).clamp_max(1) if self.near else weight.new_ones(len(weight))
        return Graph(inputs.n, i, j, weight)
