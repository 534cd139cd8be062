"""Masks, edge lists and cuts against loops."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from shamisa_cli.graphs.graph import Graph, binary_graph, coalesce, equal_pairs, keep_largest

edge_lists = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 6), st.floats(0, 2, width=32)).filter(
        lambda edge: edge[0] != edge[1]
    ),
    max_size=40,
)


def tensors(edges):
    i, j, weight = (list(column) for column in zip(*edges, strict=True)) if edges else ([], [], [])
    return (
        torch.tensor(i, dtype=torch.int64),
        torch.tensor(j, dtype=torch.int64),
        torch.tensor(weight, dtype=torch.float64),
    )


@settings(max_examples=60, deadline=None)
@given(edges=edge_lists)
def test_coalesce_sums_duplicates_in_either_direction(edges):
    expected = torch.zeros(7, 7, dtype=torch.float64)
    for i, j, weight in edges:
        expected[i, j] += weight
        expected[j, i] += weight
    graph = coalesce(7, *tensors(edges))
    graph.validate(7)
    pairs = list(zip(graph.i.tolist(), graph.j.tolist(), strict=True))
    assert pairs == sorted({(min(i, j), max(i, j)) for i, j, _ in edges})
    torch.testing.assert_close(graph.dense(), expected)


def test_coalesce_passes_gradients_to_every_duplicate():
    i, j, weight = tensors([(0, 1, 0.5), (1, 0, 0.25), (2, 1, 1.0)])
    weight.requires_grad_()
    assert torch.autograd.gradcheck(lambda w: coalesce(3, i, j, w).dense(), weight)


@settings(max_examples=60, deadline=None)
@given(
    weights=st.lists(st.sampled_from([0.0, 0.5, 1.0, 1.5]), max_size=21), entries=st.integers(2, 50)
)
def test_keep_largest_is_a_stable_sort(weights, entries):
    i, j = torch.triu_indices(7, 7, offset=1)[:, : len(weights)]
    graph = keep_largest(Graph(7, i, j, torch.tensor(weights)), entries)
    best = sorted(range(len(weights)), key=lambda e: (-weights[e], e))[: entries // 2]
    assert graph.i.tolist() == i[sorted(best)].tolist()
    assert graph.j.tolist() == j[sorted(best)].tolist()
    assert graph.weight.tolist() == [weights[e] for e in sorted(best)]


def test_binary_graph_ignores_the_diagonal():
    mask = torch.tensor([[1, 0, 1], [0, 1, 0], [1, 0, 0]], dtype=torch.bool)
    graph = binary_graph(mask)
    assert (graph.i.tolist(), graph.j.tolist(), graph.weight.tolist()) == ([0], [2], [1.0])


def test_equal_pairs_of_columns():
    a, b = torch.tensor([1, 1, 2, 1]), torch.tensor([5, 5, 5, 6])
    assert equal_pairs(a, b).nonzero().tolist() == [[0, 0], [0, 1], [1, 0], [1, 1], [2, 2], [3, 3]]


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (Graph(3, torch.tensor([1]), torch.tensor([1]), torch.ones(1)), "i < j"),
        (Graph(3, torch.tensor([2]), torch.tensor([0]), torch.ones(1)), "i < j"),
        (Graph(3, torch.tensor([0]), torch.tensor([3]), torch.ones(1)), "i < j"),
        (Graph(3, torch.tensor([-1]), torch.tensor([1]), torch.ones(1)), "i < j"),
        (Graph(3, torch.tensor([0]), torch.tensor([1]), torch.tensor([-0.1])), "weight"),
        (Graph(3, torch.tensor([0]), torch.tensor([1]), torch.tensor([torch.nan])), "weight"),
        (Graph(3, torch.tensor([0]), torch.tensor([1, 2]), torch.ones(1)), "one length"),
        (Graph.empty(4), "4 nodes"),
    ],
)
def test_what_is_no_graph_is_refused(graph, message):
    with pytest.raises(ValueError, match=message):
        graph.validate(3)
