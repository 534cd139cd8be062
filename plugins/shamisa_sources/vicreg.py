"""`vicreg`: two views of one image."""

from __future__ import annotations

from shamisa_cli.graphs.edges import binary_graph
from shamisa_cli.graphs.graph import Graph
from shamisa_cli.graphs.source import GraphInputs, GraphSource
from shamisa_sources.same_image import same_distorted_image


class VicReg(GraphSource):
    """VICReg's augmentation pairs: the two scale views of one photo, composition and level.

    Bardes, Ponce, LeCun, "VICReg: Variance-Invariance-Covariance Regularization", ICLR 2022. A
    view is a random crop at full or at half scale. Every crop is in one pair, so with V = 2
    and this source alone the invariance is VICReg's own term, the mean squared difference
    between the two halves of the batch.
    """

    def build(self, inputs: GraphInputs) -> Graph:
        return binary_graph(same_distorted_image(inputs.layout).to(inputs.h.device))
