"""From masks, edge lists and layouts to graphs: the steps that graph sources share."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from shamisa_cli.distortions.layout import BatchLayout
from shamisa_cli.graphs.graph import Graph


def equal_pairs(values: Tensor) -> Tensor:
    """(N, N) bool: which pairs of nodes have the same value; ``values`` is (N,)."""
    return values[:, None] == values[None, :]


def pairs_of(mask: Tensor) -> tuple[Tensor, Tensor]:
    """The pairs i < j of a symmetric (N, N) bool mask, as two (E,) int64 tensors, row by row."""
    i, j = mask.triu(1).nonzero(as_tuple=True)
    return i, j


def binary_graph(mask: Tensor) -> Graph:
    """Weight 1 on every pair of a symmetric (N, N) bool mask, whose diagonal is ignored."""
    i, j = pairs_of(mask)
    return Graph(len(mask), i, j, torch.ones(i.shape, device=mask.device))


def coalesce(n: int, i: Tensor, j: Tensor, weight: Tensor) -> Graph:
    """One edge per pair of nodes, the weights of duplicates summed; gradients reach ``weight``.

    Parameters
    ----------
    n : number of nodes.
    i, j : (E,) int64, i ≠ j, in either order, pairs may repeat.
    weight : (E,) float.

    Returns
    -------
    Graph
        edges sorted by (i, j).
    """
    keys = torch.minimum(i, j) * n + torch.maximum(i, j)
    unique, edge_of = torch.unique(keys, return_inverse=True)
    summed = weight.new_zeros(unique.shape).index_add(0, edge_of, weight)
    return Graph(n, unique // n, unique % n, summed)


def keep_largest(graph: Graph, entries: int) -> Graph:
    """Keep the ``entries`` largest entries of the symmetric matrix, that is ``entries // 2`` edges.

    Of equal weights the edge that comes first stays, so that the choice is the same on every
    machine. Nothing is dropped where the graph has no more edges than that.
    """
    keep = entries // 2
    if graph.n_edges <= keep:
        return graph
    kept = torch.sort(graph.weight, descending=True, stable=True).indices[:keep].sort().values
    return Graph(graph.n, graph.i[kept], graph.j[kept], graph.weight[kept])


@lru_cache(maxsize=16)
def same_composition_pairs(layout: BatchLayout, device: torch.device) -> tuple[Tensor, Tensor]:
    """Pairs of distorted crops: one composition, level and scale view, different references."""
    alike = equal_pairs(layout.tiny_batch) & equal_pairs(layout.view)
    alike &= equal_pairs(layout.group) & equal_pairs(layout.level)
    alike &= ~equal_pairs(layout.reference) & (layout.group >= 0)[:, None]
    i, j = pairs_of(alike)
    return i.to(device), j.to(device)
