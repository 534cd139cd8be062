"""Methods of positives and negatives: what is no positive is a negative."""

from __future__ import annotations

import torch
from torch import Tensor

from shamisa_cli.graphs.graph import Graph, unattracted
from shamisa_cli.graphs.source import GraphInputs, GraphSource


class WithNegatives(GraphSource):
    """Base class: every pair that the source does not join is held apart, where asked for.

    Parameters
    ----------
    negatives : give that repulsion graph, for an objective that takes one.
    """

    def __init__(self, negatives: bool = False) -> None:
        super().__init__()
        self.negatives = negatives

    @property
    def repels(self) -> bool:
        return self.negatives

    def takes_part(self, inputs: GraphInputs) -> Tensor:
        """(N,) bool: the crops that the method knows."""
        return torch.ones_like(inputs.role, dtype=torch.bool)

    def build_repulsion(self, inputs: GraphInputs) -> Graph:
        return unattracted(self.build(inputs), self.takes_part(inputs))
