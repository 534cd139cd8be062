"""`paired_view`: the same distortion on different photos (docs/method.md §4)."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from shamisa_cli.graphs.graph import Graph, equal_pairs, pairs_of
from shamisa_cli.graphs.source import GraphInputs, GraphSource


class PairedView(GraphSource):
    """Same composition group, level and scale view, different photo: 1."""

    coeff = 0.6011
    needs = frozenset({"composition"})

    def build(self, inputs: GraphInputs) -> Graph:
        i, j = same_composition_pairs(inputs)
        return Graph(inputs.n, i, j, torch.ones(i.shape, device=i.device))


@lru_cache(maxsize=1)  # `transport` asks for those of the same mini-batch
def same_composition_pairs(inputs: GraphInputs) -> tuple[Tensor, Tensor]:
    """Pairs of distorted crops: one composition, level and scale view, different photos."""
    made = inputs.require_composition()
    alike = equal_pairs(made.group, made.level, inputs.view) & (made.group >= 0)
    return pairs_of(alike & (inputs.image[:, None] != inputs.image))
