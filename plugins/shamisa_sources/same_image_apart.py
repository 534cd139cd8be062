"""`same_image_apart`: other places of a photo are held apart from the most salient one."""

from __future__ import annotations

import torch

from shamisa_cli.graphs.graph import Graph, equal_pairs, pairs_of
from shamisa_cli.graphs.source import GraphInputs, GraphSource, Role


class SameImageApart(GraphSource):
    """Holds the most salient crop of a photo apart from the photo's other crops.

    After LML-IQA (arXiv 2406.19247), its intra-class negatives. ``coeff`` is β_i.

    Parameters
    ----------
    soft : a crop counts 1 − its overlap with the most salient one, where overlap is intersection
        over union; else each counts 1, and one that is the same place counts 0. Ours, not the
        paper's.
    """

    needs = frozenset({"places"})

    def __init__(self, soft: bool = False) -> None:
        super().__init__()
        self.soft = soft

    def build_repulsion(self, inputs: GraphInputs) -> Graph:
        positive, overlap = inputs.role == Role.POSITIVE, inputs.require_places().overlap
        i, j = pairs_of(equal_pairs(inputs.image) & (positive[:, None] != positive))
        shared = torch.where(positive[i], overlap[j], overlap[i])
        return Graph(inputs.n, i, j, 1 - shared if self.soft else (shared < 1).to(shared))
