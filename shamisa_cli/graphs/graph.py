"""A sparse, symmetric, weighted graph without self-loops over the N crops of a mini-batch.

Here are also the steps from masks and edge lists to a graph, which graph sources share.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Graph:
    """Undirected edges, each stored once with i < j, so that A = Aᵀ and A_ii = 0 by construction.

    Attributes
    ----------
    n : number of nodes.
    i, j : (E,) int64, i < j, every pair at most once.
    weight : (E,) float, ≥ 0.
    """

    n: int
    i: Tensor
    j: Tensor
    weight: Tensor

    @classmethod
    def empty(cls, n: int, device: torch.device | str = "cpu") -> Graph:
        """A graph with no edge."""
        none = torch.empty(0, dtype=torch.int64, device=device)
        return cls(n, none, none, torch.empty(0, device=device))

    @property
    def n_edges(self) -> int:
        """Undirected edges."""
        return self.weight.numel()

    def detach(self) -> Graph:
        """The same edges, with weights that carry no gradient."""
        return Graph(self.n, self.i, self.j, self.weight.detach())

    def dense(self) -> Tensor:
        """(n, n) symmetric matrix A; for tests and pictures."""
        a = self.weight.new_zeros(self.n, self.n)
        a[self.i, self.j] = self.weight
        a[self.j, self.i] = self.weight
        return a

    def validate(self, n: int) -> None:
        """Raise ValueError unless this is a graph over ``n`` nodes as described above.

        Repeated pairs pass: the combination of graphs sums them.
        """
        if self.n != n:
            raise ValueError(f"it has {self.n} nodes, the mini-batch has {n}")
        if not self.i.shape == self.j.shape == self.weight.shape == (self.n_edges,):
            shapes = f"{tuple(self.i.shape)}, {tuple(self.j.shape)}, {tuple(self.weight.shape)}"
            raise ValueError(f"i, j and weight must be of one length, got the shapes {shapes}")
        ordered = (self.i >= 0) & (self.i < self.j) & (self.j < n)
        if not (ordered & (self.weight >= 0) & self.weight.isfinite()).all():
            raise ValueError("every edge must have 0 ≤ i < j < N and a finite weight ≥ 0")


def equal_pairs(*columns: Tensor) -> Tensor:
    """(N, N) bool: which pairs of nodes have the same values in all of these (N,) columns."""
    equal = columns[0][:, None] == columns[0]
    for column in columns[1:]:
        equal &= column[:, None] == column
    return equal


def pairs_of(mask: Tensor) -> tuple[Tensor, Tensor]:
    """The pairs i < j of a symmetric (N, N) bool mask, as two (E,) int64 tensors, row by row."""
    i, j = mask.triu(1).nonzero(as_tuple=True)
    return i, j


def binary_graph(mask: Tensor) -> Graph:
    """Weight 1 on every pair of a symmetric (N, N) bool mask, whose diagonal is ignored."""
    i, j = pairs_of(mask)
    return Graph(len(mask), i, j, torch.ones(i.shape, device=mask.device))


def unattracted(attraction: Graph, among: Tensor) -> Graph:
    """Weight 1 on every pair that ``attraction`` does not join, of the nodes ``among``, (N,) bool.

    These are the negatives of a method in which every other crop of the mini-batch is one.
    """
    return binary_graph((attraction.dense() == 0) & among[:, None] & among)


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


def binarized(graph: Graph) -> Graph:
    """The same edges, weight 1 where it was positive and 0 where it was 0; without gradient."""
    return Graph(graph.n, graph.i, graph.j, (graph.weight > 0).to(graph.weight.dtype))


def keep_largest_each(graph: Graph, count: int) -> Graph:
    """Keep each node's ``count`` ≥ 1 largest edges; gradients reach the weights that stay.

    An edge stays where either of its ends keeps it, so a node may have more. Of a node's equal
    edges the one that comes first stays.
    """
    edges = torch.arange(graph.n_edges, device=graph.weight.device)
    edge, node = torch.cat([edges, edges]), torch.cat([graph.i, graph.j])
    order = torch.sort(edge, stable=True).indices  # of a node's equal edges the first comes first
    order = order[torch.sort(graph.weight[edge[order]], descending=True, stable=True).indices]
    order = order[torch.sort(node[order], stable=True).indices]
    degree = torch.bincount(node, minlength=graph.n)
    place = torch.arange(len(order), device=order.device)
    place = place - (degree.cumsum(0) - degree)[node[order]]
    kept = torch.unique(edge[order[place < count]])
    return Graph(graph.n, graph.i[kept], graph.j[kept], graph.weight[kept])
