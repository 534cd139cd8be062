"""`vicreg`: two views of one image."""

from __future__ import annotations

from torch import Tensor

from shamisa_cli.graphs.graph import Graph, binary_graph, equal_pairs
from shamisa_cli.graphs.source import GraphInputs
from shamisa_sources.negatives import WithNegatives


class VicReg(WithNegatives):
    """VICReg's augmentation pairs: the two scale views of one photo, composition and level.

    Bardes, Ponce, LeCun, "VICReg: Variance-Invariance-Covariance Regularization", ICLR 2022. A
    view is a random crop at full or at half scale. Every crop is in one pair, so with V = 2
    and this source alone the invariance is VICReg's own term, the mean squared difference
    between the two halves of the batch.

    Parameters
    ----------
    negatives : hold apart all other pairs, as NT-Xent does (Chen, Kornblith, Norouzi, Hinton, "A
        Simple Framework for Contrastive Learning of Visual Representations", ICML 2020).
    """

    def build(self, inputs: GraphInputs) -> Graph:
        return binary_graph(same_image(inputs))


def same_image(inputs: GraphInputs) -> Tensor:
    """(N, N) bool: crops of one photo under one composition and level, or both without any."""
    if inputs.composition is None:
        return equal_pairs(inputs.image)
    return equal_pairs(inputs.image, inputs.composition.group, inputs.composition.level)
