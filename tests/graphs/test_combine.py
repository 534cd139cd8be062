"""A = Σ α_g·c_g·A_g against dense sums, and what α learns from."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from shamisa_cli.distortions.layout import BatchLayout
from shamisa_cli.errors import ShamisaError, UsageError
from shamisa_cli.graphs.combine import GraphCombination
from shamisa_cli.graphs.graph import Graph
from shamisa_cli.graphs.source import GraphSource
from shamisa_objectives.graph_vicreg import invariance
from shamisa_sources.dist_dist import DistDist
from shamisa_sources.knn import Knn
from shamisa_sources.paired_view import PairedView
from shamisa_sources.ref_dist import RefDist
from shamisa_sources.ref_ref import RefRef
from shamisa_sources.transport import Transport
from shamisa_sources.vicreg import VicReg

LAYOUT = BatchLayout(1, 2, 2, 2, 2)


class AuxiliaryOnly(GraphSource):
    coeff = 0.0

    def auxiliary_loss(self, h, inputs):
        return h.square().sum()


def combination(alpha="learned", **more):
    made = (PairedView(), RefDist(), RefRef(), DistDist(), Knn(3), Transport(prototypes=4))
    sources = {type(s).__name__: (s, s.coeff) for s in (*made, *more.values())}
    combined = GraphCombination(sources, alpha)
    combined.prepare(6, torch.Generator().manual_seed(0))
    return combined


def dense_sum(model, inputs, alpha):
    parts = zip(alpha, model.sources.values(), model.coefficients, strict=True)
    return sum(share * c * source.build(inputs).dense().detach() for share, source, c in parts)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), alpha=st.sampled_from(["learned", "fixed"]))
def test_combined_graph_is_the_weighted_sum(make_graph_inputs, seed, alpha):
    inputs = make_graph_inputs(LAYOUT, seed)
    model = combination(alpha)
    if model.mixture is not None:
        nn.init.normal_(model.mixture.layers[-1].weight, generator=torch.Generator().manual_seed(1))
    made = model(inputs)
    made.graph.validate(LAYOUT.n)
    torch.testing.assert_close(made.graph.dense(), dense_sum(model, inputs, made.alpha))
    assert made.alpha.sum().item() == pytest.approx(1)
    assert (made.alpha > 0).all()
    for row, source in zip(made.statistics.tolist(), model.sources.values(), strict=True):
        graph = source.build(inputs)
        assert row == pytest.approx([graph.n_edges, graph.weight.sum().item()])


def test_alpha_is_softmax_of_the_mlp_of_layer_normed_statistics(make_graph_inputs):
    inputs = make_graph_inputs(LAYOUT)
    model = combination()
    nn.init.normal_(model.mixture.layers[-1].weight, generator=torch.Generator().manual_seed(1))
    made = model(inputs)
    x = made.statistics.flatten().double()
    x = (x - x.mean()) / (x.var(unbiased=False) + 1e-5).sqrt()
    w1, b1, slope, w2, b2 = (p.double() for p in list(model.mixture.parameters())[2:])
    hidden = w1 @ x + b1
    assert len(hidden) == 2 * len(x)
    hidden = torch.where(hidden > 0, hidden, slope * hidden)
    torch.testing.assert_close(
        made.alpha.double(), torch.softmax(w2 @ hidden + b2, 0), atol=1e-6, rtol=0
    )


def test_learned_alpha_starts_equal_and_follows_its_gradient(make_graph_inputs):
    inputs = make_graph_inputs(LAYOUT)
    model = combination()
    made = model(inputs)
    torch.testing.assert_close(made.alpha, torch.full((6,), 1 / 6))

    # d loss/d α_g is the energy of c_g·A_g; Σ_ij has every pair i < j twice.
    n, size = inputs.z.shape
    apart = torch.cdist(inputs.z, inputs.z).square()
    energies = [
        (c * source.build(inputs).dense().detach() * apart).sum() / (n * size)
        for source, c in zip(model.sources.values(), model.coefficients, strict=True)
    ]
    loss = invariance(inputs.z, made.graph)
    (gradient,) = torch.autograd.grad(loss, made.alpha, retain_graph=True)
    # α sums to 1: only differences between the sources' gradients matter.
    torch.testing.assert_close(gradient, torch.stack(energies), atol=1e-4, rtol=1e-4)

    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    for _ in range(2):
        optimizer.zero_grad()
        invariance(inputs.z, model(inputs).graph).backward()
        optimizer.step()
    after = model(inputs)
    assert invariance(inputs.z, after.graph) < loss
    assert all(p.grad.abs().max() > 0 for p in model.mixture.parameters())


def test_graphs_are_targets(make_graph_inputs):
    """Fixed α is equal shares and learns nothing; prototypes learn from the auxiliary loss only."""
    inputs = make_graph_inputs(LAYOUT)
    made = combination("fixed")(inputs)
    torch.testing.assert_close(made.alpha, torch.full((6,), 1 / 6))
    assert not made.graph.weight.requires_grad
    model = combination("learned")
    invariance(inputs.z, model(inputs).graph).backward()
    assert model.sources["Transport"].prototypes.grad is None


def test_a_source_without_coefficient_brings_its_loss_only(make_graph_inputs):
    inputs = make_graph_inputs(LAYOUT)
    plain, with_it = combination(), combination(extra=AuxiliaryOnly())
    made, more = plain(inputs), with_it(inputs)
    assert more.names == (*made.names, "AuxiliaryOnly")
    assert torch.equal(more.alpha, torch.cat([made.alpha, torch.zeros(1)]))
    assert torch.equal(more.statistics[-1], torch.zeros(2))
    assert torch.equal(more.graph.dense(), made.graph.dense())
    losses = with_it.auxiliary_losses(inputs.h, inputs)
    assert set(losses) == {"Transport", "AuxiliaryOnly"}
    assert losses["AuxiliaryOnly"].item() == pytest.approx(LAYOUT.n)


def test_mixed_precision_changes_nothing(make_graph_inputs):
    inputs = make_graph_inputs(LAYOUT)
    model = combination()
    expected, losses = model(inputs), model.auxiliary_losses(inputs.h, inputs)
    with torch.autocast("cpu", torch.bfloat16):
        made, under = model(inputs), model.auxiliary_losses(inputs.h, inputs)
    assert torch.equal(made.graph.dense(), expected.graph.dense())
    assert torch.equal(under["Transport"], losses["Transport"])


class Apart(GraphSource):
    """Attracts nothing, and holds its edges apart."""

    def __init__(self, *edges):
        super().__init__()
        self.edges = edges

    def build_repulsion(self, inputs):
        i, j = torch.tensor([edge[:2] for edge in self.edges]).T
        return Graph(inputs.n, i, j, torch.tensor([edge[2] for edge in self.edges]))


@pytest.mark.parametrize("alpha", ["learned", "fixed"])
def test_repulsion_is_weighted_by_coefficients_and_not_shared_out(make_graph_inputs, alpha):
    inputs = make_graph_inputs(LAYOUT)
    near, far = Apart((0, 1, 1.0), (2, 5, 3.0)), Apart((0, 1, 0.5))
    sources = {"near": (near, 0.5), "knn": (Knn(3), 1.0), "far": (far, 2.0), "off": (near, 0.0)}
    model = GraphCombination(sources, alpha)
    model.prepare(6, torch.Generator().manual_seed(0))
    assert model.repelling == ("near", "far")
    made = model(replace(inputs, h=inputs.h.clone().requires_grad_()))
    made.repulsion.validate(LAYOUT.n)
    expected = torch.zeros(LAYOUT.n, LAYOUT.n)
    expected[0, 1] = expected[1, 0] = 0.5 * 1.0 + 2.0 * 0.5
    expected[2, 5] = expected[5, 2] = 0.5 * 3.0
    assert torch.equal(made.repulsion.dense(), expected)
    assert not made.repulsion.weight.requires_grad
    # What repels takes part in the shares, and attracts nothing.
    torch.testing.assert_close(made.graph.dense(), Knn(3).build(inputs).dense() / 3)


def test_no_source_repels_unless_it_says_so(make_graph_inputs):
    model = combination(extra=VicReg())
    assert model.repelling == ()
    assert model(make_graph_inputs(LAYOUT)).repulsion.n_edges == 0
    assert combination(extra=VicReg(negatives=True)).repelling == ("VicReg",)


def test_a_wrong_repulsion_graph_is_named(make_graph_inputs):
    model = GraphCombination({"a": (Apart((1, 0, 1.0)), 1.0)})
    message = "graph source 'a' returned a wrong repulsion graph: every edge must have 0 ≤ i < j"
    with pytest.raises(UsageError, match=message):
        model(make_graph_inputs(LAYOUT))
    with pytest.raises(ShamisaError, match="graph source 'a' failed"):
        GraphCombination({"a": (Apart((0,)), 1.0)})(make_graph_inputs(LAYOUT))


class Faulty(GraphSource):
    """Returns or raises what it is given."""

    def __init__(self, result):
        super().__init__()
        self.result = result

    def build(self, inputs):
        if isinstance(self.result, Exception):
            raise self.result
        return self.result

    def auxiliary_loss(self, h, inputs):
        return h.sum(1)


ONE = torch.ones(1, dtype=torch.int64)


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (Graph(LAYOUT.n, ONE, ONE, torch.ones(1)), "'Faulty' returned a wrong graph"),
        (None, "'Faulty' returned a wrong graph: expected a Graph"),
        (RuntimeError("no such file"), "'Faulty' failed: RuntimeError: no such file"),
    ],
)
def test_a_faulty_source_is_named(result, message, make_graph_inputs):
    inputs = make_graph_inputs(LAYOUT)
    model = combination(extra=Faulty(result))
    with pytest.raises(ShamisaError, match=message):
        model(inputs)
    with pytest.raises(UsageError, match="'Faulty': its loss is not a scalar"):
        model.auxiliary_losses(inputs.h, inputs)


def test_a_source_that_needs_more_than_the_mini_batch_has_is_named(make_graph_inputs):
    labeled = replace(make_graph_inputs(LAYOUT), composition=None)
    message = (
        r"'PairedView' needs composition, which this mini-batch lacks\. "
        r"Sources that work with it: knn, reiqa, transport, vicreg"
    )
    with pytest.raises(UsageError, match=message):
        combination()(labeled)
    working = GraphCombination({"knn": (Knn(3), 1.0), "vicreg": (VicReg(), 1.0)}, "fixed")
    expected = (Knn(3).build(labeled).dense() + VicReg().build(labeled).dense()) / 2
    torch.testing.assert_close(working(labeled).graph.dense(), expected)


@pytest.mark.parametrize(
    ("sources", "alpha", "message"),
    [
        ({}, "learned", "no graph source"),
        ({"a": (RefRef(), 0.0)}, "learned", "no graph source"),
        ({"a": (RefRef(), -1.0)}, "learned", "coeff must be at least 0"),
        ({"a": (RefRef(), float("nan"))}, "learned", "coeff must be at least 0"),
        (
            {"a": (RefRef(), 1.0)},
            "detached",
            "expected fixed, random, ones, learned, balanced, got 'detached'",
        ),
    ],
)
def test_invalid_combinations_are_refused(sources, alpha, message):
    with pytest.raises(UsageError, match=message):
        GraphCombination(sources, alpha)


def test_binary_makes_every_positive_edge_of_a_source_one(make_graph_inputs):
    class Mixed(GraphSource):
        def build(self, inputs):
            i, j = torch.tensor([[0, 1], [0, 2], [3, 4]]).T
            return Graph(inputs.n, i, j, torch.tensor([0.2, 0.0, 7.0]))

    inputs = make_graph_inputs(LAYOUT)
    sources = {"mixed": (Mixed(), 0.5), "knn": (Knn(3), 0.3)}
    made = GraphCombination(sources, binary=True)(inputs)
    expected = 0.15 * (Knn(3).build(inputs).dense() > 0)
    expected[0, 1] = expected[1, 0] = expected[0, 1] + 0.25
    expected[3, 4] = expected[4, 3] = expected[3, 4] + 0.25
    torch.testing.assert_close(made.graph.dense(), expected)
    assert made.statistics[0].tolist() == [3, 2]
    plain = GraphCombination(sources)(inputs).graph.dense()
    assert not torch.allclose(plain, expected)


@pytest.mark.parametrize("count", [1, 4])
def test_topk_each_keeps_the_largest_edges_of_every_node(make_graph_inputs, count):
    inputs = make_graph_inputs(LAYOUT)
    sources = {"paired": (PairedView(), 0.5), "dist": (DistDist(), 0.4), "knn": (Knn(5), 0.3)}
    whole = GraphCombination(sources)(inputs).graph.dense()
    kept = GraphCombination(sources, topk_each=count)(inputs).graph
    kept.validate(LAYOUT.n)
    expected = torch.zeros_like(whole)
    for i, row in enumerate(whole.tolist()):
        joined = [j for j, weight in enumerate(row) if weight > 0]
        edge_of = {j: (min(i, j), max(i, j)) for j in joined}
        for j in sorted(joined, key=lambda j: (-row[j], edge_of[j]))[:count]:
            expected[i, j] = expected[j, i] = row[j]
    assert torch.equal(kept.dense(), expected)
    assert 0 < kept.n_edges < (whole > 0).sum() / 2


def test_the_rest_repels_where_it_is_asked_for(make_graph_inputs):
    inputs = make_graph_inputs(LAYOUT)
    sources = {"knn": (Knn(3), 0.3), "far": (Apart((0, 1, 3.0)), 2.0)}
    made = GraphCombination(sources, negatives="rest")(inputs)
    joined = made.graph.dense() > 0
    expected = 1.0 - joined.float() - torch.eye(LAYOUT.n)
    expected[0, 1] = expected[1, 0] = expected[0, 1] + 6.0
    assert torch.equal(made.repulsion.dense(), expected)
    alone = GraphCombination({"knn": (Knn(3), 0.3)}, negatives="rest")(inputs)
    assert torch.equal(alone.repulsion.dense(), 1.0 - joined.float() - torch.eye(LAYOUT.n))


def test_leaving_a_source_out_is_combining_the_others(make_graph_inputs):
    inputs = make_graph_inputs(LAYOUT)
    model = combination("fixed")
    for left_out in model.names:
        others = {
            name: (model.sources[name], c)
            for name, c in zip(model.names, model.coefficients, strict=True)
            if name != left_out
        }
        made = GraphCombination(others)(inputs)
        expected = sum(c * source.build(inputs).dense() for source, c in others.values()) / 5
        torch.testing.assert_close(made.graph.dense(), expected)
