"""The door for graph sources, ours and anyone else's.

A graph source is a class that is registered under the entry-point group ``shamisa.graph_sources``.
Its constructor's keyword parameters (with defaults) are the source's options; an instance is a
``torch.nn.Module`` so that a source may bring parameters of its own, which are trained by its
auxiliary loss and saved with the checkpoint.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from shamisa_cli.distortions.layout import BatchLayout
from shamisa_cli.distortions.metadata import BatchMetadata
from shamisa_cli.graphs.graph import Graph


@dataclass(frozen=True)
class GraphInputs:
    """What a graph source may look at.

    Attributes
    ----------
    layout : which crop is which.
    metadata : what the engine did to each.
    h : (N, d) float32, unit-length representations, detached.
    z : (N, D) float32, embeddings, detached.
    """

    layout: BatchLayout
    metadata: BatchMetadata
    h: Tensor
    z: Tensor


class GraphSource(nn.Module):
    """Base class: override :meth:`build`, and :meth:`auxiliary_loss` if there is one.

    Attributes
    ----------
    coeff : the default coefficient c ≥ 0 of this source in A = Σ α_g c_g A_g (method.md §4). With 0
        the source has no graph and no share of α, only its auxiliary loss.
    """

    coeff: ClassVar[float] = 1.0

    def prepare(self, feature_size: int, generator: torch.Generator) -> None:
        """Make parameters that need the size d of h; called once, before training.

        Draw initial values from ``generator`` (on the CPU), so that a seed fixes them.
        """

    def build(self, inputs: GraphInputs) -> Graph:
        """The graph of this mini-batch, made anew from the current representations at every step.

        Called without gradients: a graph is a target. The default has no edge.
        """
        return Graph.empty(inputs.layout.n, inputs.h.device)

    def auxiliary_loss(self, h: Tensor, inputs: GraphInputs) -> Tensor | None:
        """A scalar that is added to the objective, or None; ``h`` (N, d) carries gradients."""
        return None
