"""`transport` against loops in float64: codes, edges, auxiliary loss and its gradients."""

from __future__ import annotations

import itertools
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


def oracle_log_p(h, prototypes, temperature=0.1):
    """log softmax of cosines, written out, and the cosines."""
    cosines = h @ (prototypes / prototypes.square().sum(1, keepdim=True).sqrt()).T
    p = torch.exp(cosines / temperature)
    return torch.log(p / p.sum(1, keepdim=True)), cosines


def oracle_codes(logits, epsilon, rounds):
    """Sinkhorn–Knopp with plain exponentials, as the books write it."""
    q = torch.exp(logits.double() / epsilon)
    for _ in range(rounds):
        for k in range(q.shape[1]):
            q[:, k] /= q[:, k].sum()
        for i in range(q.shape[0]):
            q[i] /= q[i].sum()
    return q


def pair_score(p, q):
    return (p.log() * q + q.log() * p).mean() / 2


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), edges_per_node=st.integers(1, 30))
def test_graph_is_its_rule(make_graph_inputs, seed, edges_per_node):
    inputs = make_graph_inputs(LAYOUT, seed)
    source = make(inputs, edges_per_node=edges_per_node)
    p = oracle_log_p(inputs.h.double(), source.prototypes.double())[0].exp()
    pairs = list(itertools.combinations(range(LAYOUT.n), 2))
    scores = torch.stack([pair_score(p[i], p[j]) for i, j in pairs])
    scaled = (scores - scores.min()) / (scores.max() - scores.min())
    expected = torch.zeros(LAYOUT.n, LAYOUT.n)
    for e in scaled.argsort(descending=True)[: edges_per_node * LAYOUT.n // 2].tolist():
        expected[pairs[e]] = expected[pairs[e][::-1]] = scaled[e]
    graph = source.build(inputs)
    graph.validate(LAYOUT.n)
    assert 2 * graph.n_edges == min(edges_per_node * LAYOUT.n, LAYOUT.n * (LAYOUT.n - 1))
    torch.testing.assert_close(graph.dense(), expected, atol=1e-5, rtol=0)


def test_edges_join_crops_that_are_assigned_alike_and_firmly(make_graph_inputs):
    """Two thirds at least; the log of a product would join those of the flattest assignments."""
    inputs = make_graph_inputs(LAYOUT, seed=3)
    kind = torch.arange(LAYOUT.n) % 4
    source = Transport(prototypes=4, edges_per_node=4)
    source.prepare(inputs.h.shape[1], torch.Generator().manual_seed(7))
    noise = 0.3 * torch.randn(inputs.h.shape, generator=torch.Generator().manual_seed(8))
    h = source.prototypes.detach()[kind] + noise / inputs.h.shape[1] ** 0.5
    inputs.h.copy_(torch.nn.functional.normalize(h, dim=1))
    graph = source.build(inputs)
    assert (kind[graph.i] == kind[graph.j]).float().mean() > 0.66


def test_the_loss_of_a_fresh_model_is_small_beside_the_objective(make_graph_inputs):
    """With the published weight of L_inv it is near 8; as a sum over prototypes, near 120."""
    layout = BatchLayout()
    source = Transport()
    source.prepare(256, torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(1)
    h = torch.nn.functional.normalize(torch.rand(layout.n, 256, generator=generator), dim=1)
    loss = source.auxiliary_loss(h, replace(make_graph_inputs(layout), h=h))
    assert 6 < 88.369 * loss.item() < 10


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

    log_p, logits = oracle_log_p(h, source.prototypes)
    q = oracle_codes(logits.detach(), 0.05, 6)
    own = sum(q[i] @ log_p[i] for i in range(layout.n)) / layout.n
    swapped = [q[i] @ log_p[j] for i in range(layout.n) for j in range(layout.n) if a[i, j]]
    both = own + (sum(swapped) / len(swapped) if swapped else 0)
    expected = -0.5 * 0.4906 * 2 * both / 5  # the mean over 5 prototypes

    torch.testing.assert_close(loss, expected, atol=1e-10, rtol=1e-8)
    inner = (h, source.prototypes)
    for ours, theirs in zip(
        torch.autograd.grad(loss, inner), torch.autograd.grad(expected, inner), strict=True
    ):
        assert theirs.abs().max() > 0
        torch.testing.assert_close(ours, theirs, atol=1e-10, rtol=1e-7)
