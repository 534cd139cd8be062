"""`knn`: each crop and its nearest neighbors among the representations (docs/method.md §4)."""

from __future__ import annotations

import torch
from torch import Tensor

from shamisa_cli.graphs.graph import Graph, coalesce
from shamisa_cli.graphs.source import GraphInputs, GraphSource


class Knn(GraphSource):
    """Affinity 1/(1 + ‖h_i − h_j‖) to each node's k nearest, then A + Aᵀ.

    Weights lie in (0, 2]: a pair that is near from both sides counts twice.

    Parameters
    ----------
    k : neighbors of each node, at least 1; all others where the batch has no more than that.
    """

    coeff = 0.2087

    def __init__(self, k: int = 31) -> None:
        super().__init__()
        if k < 1:
            raise ValueError(f"k must be at least 1, got {k}")
        self.k = k

    def build(self, inputs: GraphInputs) -> Graph:
        n = inputs.n
        k = min(self.k, n - 1)
        squared = squared_distances(inputs.h)
        to_others = squared.detach().sqrt().fill_diagonal_(torch.inf)
        neighbor = torch.sort(to_others, dim=1, stable=True).indices[:, :k].flatten()
        node = torch.arange(n, device=neighbor.device).repeat_interleave(k)
        return coalesce(n, node, neighbor, 1 / (1 + root(squared[node, neighbor])))


def root(squared: Tensor) -> Tensor:
    """√x of x ≥ 0; at 0 it has no gradient, where that of the root is infinite."""
    same = squared == 0
    return squared.masked_fill(same, 1).sqrt().masked_fill(same, 0)


def squared_distances(x: Tensor) -> Tensor:
    """‖x_i − x_j‖² for every pair of rows, by the Gram matrix of the centered rows.

    Distances do not change when the mean row is subtracted, but the cancellation in
    ‖x_i‖² + ‖x_j‖² − 2·x_i·x_j does: features of unit length, almost equal, keep their digits.

    Parameters
    ----------
    x : (N, d) float.

    Returns
    -------
    Tensor
        (N, N), symmetric, ≥ 0, with a zero diagonal.
    """
    centered = x - x.mean(0)
    gram = centered @ centered.T
    norms = gram.diagonal()
    squared = norms[:, None] + norms[None, :] - 2 * gram
    squared = (squared + squared.T) / 2
    return squared.clamp_min(0).fill_diagonal_(0)
