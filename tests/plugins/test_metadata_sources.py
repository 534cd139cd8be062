"""The metadata sources against loops over method.md §4, crop by crop."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from shamisa_cli.distortions.layout import BatchLayout
from shamisa_sources.dist_dist import DistDist
from shamisa_sources.paired_view import PairedView
from shamisa_sources.ref_dist import RefDist
from shamisa_sources.ref_ref import RefRef

LAYOUTS = [BatchLayout(2, 2, 3, 2, 3), BatchLayout(1, 1, 2, 3, 2), BatchLayout(3, 2, 1, 1, 1)]

layouts = st.builds(BatchLayout, *[st.integers(1, 3)] * 5)


def crops(inputs):
    """(tiny-batch, view, reference, group, level, λ_v) of each node, as plain numbers."""
    made = []
    for b, s, r, c, level in inputs.layout.coordinates.tolist():
        severity = math.nan
        if c >= 0:
            v = int(inputs.metadata.varying[b, c])
            severity = float(inputs.metadata.severities[b, c, level, v])
        made.append((b, s, r, c, level, severity))
    return made


def dense(inputs, weight_of):
    """The N×N matrix of a rule on two crops, by loops over all pairs."""
    nodes = crops(inputs)
    a = torch.zeros(len(nodes), len(nodes))
    for i, one in enumerate(nodes):
        for j, other in enumerate(nodes):
            if i != j:
                a[i, j] = weight_of(one, other)
    return a


def ref_dist(one, other):
    (b, s, r, c, _, λ), (b2, s2, r2, c2, _, λ2) = one, other
    if (b, s, r) == (b2, s2, r2) and (c < 0) != (c2 < 0):
        return math.exp(-3 * (λ2 if c < 0 else λ))
    return 0.0


def dist_dist(one, other):
    (b, _, _, c, _, λ), (b2, _, _, c2, _, λ2) = one, other
    if c >= 0 and (b, c) == (b2, c2):
        return math.exp(-3 * abs(λ - λ2))
    return 0.0


def ref_ref(one, other):
    return float(one[3] < 0 and other[3] < 0)


def paired_view(one, other):
    (b, s, r, c, level, _), (b2, s2, r2, c2, level2, _) = one, other
    return float(c >= 0 and (b, s, c, level) == (b2, s2, c2, level2) and r != r2)


RULES = [(RefDist, ref_dist), (DistDist, dist_dist), (RefRef, ref_ref), (PairedView, paired_view)]


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize(("source", "rule"), RULES, ids=lambda x: getattr(x, "__name__", ""))
def test_source_is_its_rule(source, rule, layout, make_graph_inputs):
    inputs = make_graph_inputs(layout, seed=1)
    graph = source().build(inputs)
    graph.validate(layout.n)
    torch.testing.assert_close(graph.dense(), dense(inputs, rule), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("source", "coeff"),
    [(PairedView, 0.6011), (RefDist, 0.8039), (RefRef, 0.5766), (DistDist, 0.1790)],
)
def test_published_coefficients(source, coeff):
    assert source.coeff == coeff


def test_published_batch_has_these_edges(make_graph_inputs):
    inputs = make_graph_inputs(BatchLayout())
    edges = {s.__name__: s().build(inputs).n_edges for s, _ in RULES}
    # 12 references with 20 crops each; 4096/2; 12·11/2; 2·2·4·5 sets of 3 references.
    assert edges == {"RefDist": 240, "DistDist": 2048, "RefRef": 66, "PairedView": 240}


@settings(max_examples=25, deadline=None)
@given(layout=layouts, seed=st.integers(0, 2**31), entries=st.integers(2, 300))
def test_dist_dist_keeps_the_k_largest_entries(make_graph_inputs, layout, seed, entries):
    inputs = make_graph_inputs(layout, seed)
    full = dense(inputs, dist_dist)
    graph = DistDist(entries).build(inputs)
    graph.validate(layout.n)
    kept = graph.dense()
    positive = full[full > 0].sort(descending=True).values
    expected = positive[: entries // 2 * 2]  # an undirected edge is two entries
    torch.testing.assert_close(kept[kept > 0].sort(descending=True).values, expected)
    torch.testing.assert_close(kept[kept > 0], full[kept > 0])


def test_dist_dist_breaks_ties_by_node_order(make_graph_inputs):
    layout = BatchLayout(1, 1, 4, 1, 1)  # four crops of one level: six edges of weight 1
    graph = DistDist(entries=6).build(make_graph_inputs(layout))
    assert list(zip(graph.i.tolist(), graph.j.tolist(), strict=True)) == [(4, 5), (4, 6), (4, 7)]


@settings(max_examples=25, deadline=None)
@given(layout=layouts, seed=st.integers(0, 2**31))
def test_invariants(make_graph_inputs, layout, seed):
    inputs = make_graph_inputs(layout, seed)
    for source, _ in RULES:
        graph = source().build(inputs)
        graph.validate(layout.n)
        a = graph.dense()
        assert torch.equal(a, a.T)
        assert a.diagonal().abs().sum() == 0
        if graph.n_edges:
            assert graph.weight.min() >= math.exp(-3) - 1e-6
            assert graph.weight.max() <= 1


def test_ref_dist_decreases_with_severity(make_graph_inputs):
    inputs = make_graph_inputs(BatchLayout(1, 1, 1, 1, 6), seed=3)
    graph = RefDist().build(inputs)
    severity = inputs.metadata.node_varying_severity(inputs.layout)[graph.j]
    order = severity.argsort()
    assert (graph.weight[order].diff() < 0).all()


def test_dist_dist_refuses_less_than_one_edge():
    with pytest.raises(ValueError, match="at least 2"):
        DistDist(entries=1)
