"""`salient_pair`: the place that people look at, as the teacher and as the student see it."""

from __future__ import annotations

from shamisa_cli.graphs.graph import Graph, binary_graph, equal_pairs
from shamisa_cli.graphs.source import GraphInputs, GraphSource, Role


class SalientPair(GraphSource):
    """The most salient crop of a photo, seen by the teacher and by the student.

    After LML-IQA (arXiv 2406.19247): that crop is the positive of its photo.
    """

    needs = frozenset({"places"})

    def build(self, inputs: GraphInputs) -> Graph:
        teacher = inputs.require_places().teacher
        positive = inputs.role == Role.POSITIVE
        apart = (teacher[:, None] != teacher) & positive[:, None] & positive
        return binary_graph(equal_pairs(inputs.image) & apart)
