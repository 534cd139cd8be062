"""`knn` against loops in float64."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from shamisa_cli.distortions.layout import BatchLayout
from shamisa_sources.knn import Knn


def oracle(h, k):
    """A + Aᵀ of each node's k nearest, distances by loops."""
    rows = h.double().tolist()
    n = len(rows)
    a = torch.zeros(n, n)
    for i in range(n):
        others = sorted((math.dist(rows[i], rows[j]), j) for j in range(n) if j != i)
        for distance, j in others[:k]:
            a[i, j] = 1 / (1 + distance)
    return a + a.T


@pytest.mark.parametrize("k", [1, 3, 8, 1000])
def test_knn_is_its_rule(k, make_graph_inputs):
    inputs = make_graph_inputs(BatchLayout(1, 2, 2, 2, 3), seed=k)
    graph = Knn(k).build(inputs)
    graph.validate(inputs.layout.n)
    torch.testing.assert_close(graph.dense(), oracle(inputs.h, k), atol=1e-5, rtol=0)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), k=st.integers(1, 40))
def test_invariants(make_graph_inputs, seed, k):
    layout = BatchLayout(1, 2, 2, 2, 2)
    inputs = make_graph_inputs(layout, seed)
    graph = Knn(k).build(inputs)
    graph.validate(layout.n)
    a = graph.dense()
    assert torch.equal(a, a.T)
    assert ((a > 0).sum(1) >= min(k, layout.n - 1)).all()
    assert graph.n_edges <= k * layout.n
    assert graph.weight.min() > 0
    assert graph.weight.max() <= 2


def test_nearly_equal_features_keep_their_neighbors(make_graph_inputs):
    """Averaged ReLU features of unit length differ in the fourth digit before training."""
    inputs = make_graph_inputs(BatchLayout(1, 1, 2, 2, 4), d=512)
    anchor = torch.ones(512) / 512**0.5
    h = torch.nn.functional.normalize(anchor + 1e-4 * inputs.h, dim=1)
    found = Knn(3).build(replace(inputs, h=h)).dense() > 0
    assert torch.equal(found, oracle(h, 3) > 0)


def test_one_lonely_neighbor_and_refused_k(make_graph_inputs):
    inputs = make_graph_inputs(BatchLayout(1, 1, 1, 1, 1))
    assert Knn(31).build(inputs).n_edges == 1
    with pytest.raises(ValueError, match="k must be"):
        Knn(0)
