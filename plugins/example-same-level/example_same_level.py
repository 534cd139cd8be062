"""A graph source in ten lines: distorted crops of nearly one severity, whatever the distortion."""

from shamisa_cli.graphs.graph import Graph, binary_graph
from shamisa_cli.graphs.source import GraphInputs, GraphSource


class SameLevel(GraphSource):
    """Distorted crops whose varying severities λ differ by less than ``width``: 1."""

    coeff = 0.1
    needs = frozenset({"composition"})

    def __init__(self, width: float = 0.05) -> None:
        super().__init__()
        self.width = width

    def build(self, inputs: GraphInputs) -> Graph:
        severity = inputs.require_composition().varying_severity  # NaN for references
        return binary_graph((severity[:, None] - severity).abs() < self.width)
