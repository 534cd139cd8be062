"""`ref_dist`: each reference and its distorted crops, the milder the nearer (docs/method.md §4)."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from shamisa_cli.graphs.graph import Graph
from shamisa_cli.graphs.source import GraphInputs, GraphSource, Role

Decay = Literal["exponential", "reciprocal"]


class RefDist(GraphSource):
    """Reference ↔ each of its distorted crops in the same view, weight w(λ_v).

    λ_v is the severity of the varying function at that crop's level: a mild crop stays near its
    pristine anchor, a strong one may leave.

    Parameters
    ----------
    decay : of w with severity, see :func:`severity_weight`.
    """

    coeff = 0.8039
    needs = frozenset({"composition"})

    def __init__(self, decay: Decay = "exponential") -> None:
        super().__init__()
        self.decay = checked(decay)

    def build(self, inputs: GraphInputs) -> Graph:
        severity = inputs.require_composition().varying_severity
        references = (inputs.role == Role.REFERENCE).nonzero()[:, 0]
        own = inputs.image[references, None] == inputs.image
        own &= inputs.view[references, None] == inputs.view
        row, distorted = (own & (inputs.role == Role.DISTORTED)).nonzero(as_tuple=True)
        i, j = torch.stack([references[row], distorted]).sort(0).values
        return Graph(inputs.n, i, j, severity_weight(severity[distorted], self.decay))


def severity_weight(t: Tensor, decay: Decay = "exponential") -> Tensor:
    """w(t), t in [0, 1]: exp(−3t), from 1 strictly down to 0.05 (docs/method.md §4).

    ``reciprocal`` is ours, for comparison: 1/(1 + 3t), of the same slope at 0, down to 0.25.
    """
    return torch.exp(-3 * t) if decay == "exponential" else 1 / (1 + 3 * t)


def checked(decay: Decay) -> Decay:
    """``decay``, refused if it is none."""
    if decay not in get_args(Decay):
        raise ValueError(f"decay must be {' or '.join(get_args(Decay))}, got {decay!r}")
    return decay
