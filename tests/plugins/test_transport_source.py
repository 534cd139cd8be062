"""`transport` against loops in float64: codes, edges, auxiliary loss and its gradients."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from shamisa_cli.distortions.layout import BatchLayout
from shamisa_sources.paired_view import PairedView
from shamisa_sources.transport import Transport, balanced_codes

LAYOUT = BatchLayout(1, 2, 2, 2, 2)


def make(inputs, **options):
    source = Transport(prototypes=5, **options)
    source.prepare(inputs.h.shape[1], torch.Generator().manual_seed(7))
    return source


def oracle_logits(h, prototypes):
    unit = [p / sum(x * x for x in p) ** 0.5 for p in prototypes]
    cosines = [[sum(a * b for a, b in zip(x, p, strict=True)) for p in unit] for x in h]
    return torch.stack([torch.stack(row) for row in cosines])


def oracle_log_p(logits, temperature):
    rows = []
    for row in logits:
        total = sum(torch.exp(x / temperature) for x in row)
        rows.append(torch.stack([x / temperature - torch.log(total) for x in row]))
    return torch.stack(rows)


def oracle_codes(logits, epsilon, rounds):
    """Sinkhorn–Knopp with plain exponentials, as the books write it."""
    q = torch.exp(logits.double() / epsilon)
    for _ in range(rounds):
        for k in range(q.shape[1]):
            q[:, k] /= q[:, k].sum()
        for i in range(q.shape[0]):
            q[i] /= q[i].sum()
    return q


def oracle_scores(log_p, kind):
    p = log_p.exp().tolist()
    n, size = log_p.shape
    s = torch.zeros(n, n, dtype=torch.float64)
    for i in range(n):
        for j in range(n):
            for k in range(size):
                if kind == "log_product":
                    s[i, j] += math.log(p[i][k] * p[j][k]) / size
                else:
                    s[i, j] += (
                        (math.log(p[i][k]) * p[j][k] + math.log(p[j][k]) * p[i][k]) / 2 / size
                    )
    return s


@pytest.mark.parametrize("kind", ["log_product", "cross_entropy"])
@pytest.mark.parametrize("edges_per_node", [1, 3, 1000])
def test_graph_is_its_rule(kind, edges_per_node, make_graph_inputs):
    inputs = make_graph_inputs(LAYOUT, seed=2)
    source = make(inputs, edges_per_node=edges_per_node, score=kind)
    logits = oracle_logits(inputs.h.double(), source.prototypes.double())
    scores = oracle_scores(oracle_log_p(logits, 0.1), kind)
    off_diagonal = [scores[i, j] for i in range(LAYOUT.n) for j in range(LAYOUT.n) if i != j]
    scaled = (scores - min(off_diagonal)) / (max(off_diagonal) - min(off_diagonal))
    smallest_kept = sorted(
        ((scaled[i, j].item(), i, j) for i in range(LAYOUT.n) for j in range(i)), reverse=True
    )[: edges_per_node * LAYOUT.n // 2]
    expected = torch.zeros(LAYOUT.n, LAYOUT.n)
    for weight, i, j in smallest_kept:
        expected[i, j] = expected[j, i] = weight
    graph = source.build(inputs)
    graph.validate(LAYOUT.n)
    torch.testing.assert_close(graph.dense(), expected, atol=1e-5, rtol=0)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), edges_per_node=st.integers(1, 30))
def test_invariants(make_graph_inputs, seed, edges_per_node):
    inputs = make_graph_inputs(LAYOUT, seed)
    graph = make(inputs, edges_per_node=edges_per_node).build(inputs)
    graph.validate(LAYOUT.n)
    assert 2 * graph.n_edges == min(edges_per_node * LAYOUT.n, LAYOUT.n * (LAYOUT.n - 1))
    assert graph.weight.min() >= 0
    assert graph.weight.max() == 1


def test_equal_representations_give_weights_of_zero(make_graph_inputs):
    inputs = make_graph_inputs(LAYOUT)
    source = make(inputs)
    inputs.h.copy_(inputs.h[:1].expand_as(inputs.h))
    assert source.build(inputs).weight.abs().max() == 0


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), n=st.integers(2, 30), k=st.integers(2, 8))
def test_codes_are_sinkhorn_knopps(seed, n, k):
    logits = torch.rand(n, k, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    q = balanced_codes(logits, 0.05, 6)
    torch.testing.assert_close(q.double(), oracle_codes(logits, 0.05, 6), atol=2e-5, rtol=0)
    torch.testing.assert_close(q.sum(1), torch.ones(n))


def test_codes_balance_the_prototypes():
    """Even where one prototype is the nearest of all nodes, each gets its part in the end."""
    logits = torch.randn(64, 4, generator=torch.Generator().manual_seed(0)) * 0.05
    logits[:, 0] += 0.5
    mass = balanced_codes(logits, 0.05, 100).sum(0)
    torch.testing.assert_close(mass, torch.full((4,), 16.0), atol=1e-2, rtol=0)


@pytest.mark.parametrize("kind", ["paired", "one photo", "no composition"])
def test_auxiliary_loss_and_its_gradients(kind, make_graph_inputs):
    layout = BatchLayout(2, 1, 1, 2, 2) if kind == "one photo" else LAYOUT
    inputs = make_graph_inputs(layout, seed=4)
    a = PairedView().build(inputs).dense()
    if kind == "no composition":
        inputs, a = replace(inputs, composition=None), torch.zeros_like(a)
    source = make(inputs).double()
    h = inputs.h.double().requires_grad_()
    loss = source.auxiliary_loss(h, inputs)

    logits = oracle_logits(h, source.prototypes)
    q = oracle_codes(logits.detach(), 0.05, 6)
    log_p = oracle_log_p(logits, 0.1)
    own = sum(q[i] @ log_p[i] for i in range(layout.n)) / layout.n
    swapped = [q[i] @ log_p[j] for i in range(layout.n) for j in range(layout.n) if a[i, j]]
    expected = -0.5 * 0.4906 * (own + (sum(swapped) / len(swapped) if swapped else 0))

    torch.testing.assert_close(loss, expected, atol=1e-10, rtol=1e-8)
    inner = (h, source.prototypes)
    for ours, theirs in zip(
        torch.autograd.grad(loss, inner), torch.autograd.grad(expected, inner), strict=True
    ):
        assert theirs.abs().max() > 0
        torch.testing.assert_close(ours, theirs, atol=1e-10, rtol=1e-7)


def test_the_loss_trains_the_prototypes(make_graph_inputs):
    inputs = make_graph_inputs(LAYOUT)
    source = make(inputs)
    optimizer = torch.optim.SGD(source.parameters(), lr=0.5)
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        loss = source.auxiliary_loss(inputs.h, inputs)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]
