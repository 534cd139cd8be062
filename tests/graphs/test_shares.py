"""How α is made: a frozen random softmax, ones, and what learns by an objective of its own."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from shamisa_cli.distortions.engine import sample_metadata
from shamisa_cli.distortions.layout import BatchLayout
from shamisa_cli.errors import UsageError
from shamisa_cli.graphs.combine import GraphCombination
from shamisa_cli.graphs.graph import Graph
from shamisa_cli.graphs.shares import balance_loss, relation_distances
from shamisa_cli.graphs.source import engine_inputs
from shamisa_objectives.graph_vicreg import invariance, regularizer
from shamisa_sources.dist_dist import DistDist
from shamisa_sources.knn import Knn
from shamisa_sources.paired_view import PairedView
from shamisa_sources.ref_dist import RefDist
from shamisa_sources.ref_ref import RefRef
from shamisa_sources.transport import Transport

LAYOUT = BatchLayout(1, 2, 3, 2, 2)
APART = torch.tensor([0.3, 0.9, 1.4], dtype=torch.float64)
SIGNS = {"unmet": 1, "met": -1}
TAU = 0.5


def combination(alpha, seed=0, **options):
    made = (PairedView(), RefDist(), RefRef(), DistDist(), Knn(3), Transport(prototypes=4))
    sources = {type(s).__name__: (s, s.coeff) for s in made}
    combined = GraphCombination(sources, alpha, **options)
    combined.prepare(6, torch.Generator().manual_seed(seed))
    return combined


def test_a_random_alpha_is_drawn_from_the_seed_and_frozen(make_graph_inputs):
    inputs = make_graph_inputs(LAYOUT)
    model = combination("random")
    alpha = model(inputs).alpha
    assert alpha.sum().item() == pytest.approx(1)
    assert alpha.min() > 0
    assert alpha.max() > 1.2 * alpha.min()
    assert not any(p.requires_grad for p in model.mixture.parameters())
    assert not model(inputs).graph.weight.requires_grad
    assert torch.equal(combination("random")(inputs).alpha, alpha)
    assert not torch.allclose(combination("random", seed=1)(inputs).alpha, alpha, atol=1e-3)


def test_an_alpha_of_ones_is_as_many_times_fixed_as_there_are_sources(make_graph_inputs):
    inputs = make_graph_inputs(LAYOUT)
    ones, fixed = combination("ones")(inputs), combination("fixed")(inputs)
    assert ones.alpha.tolist() == [1] * 6
    torch.testing.assert_close(ones.graph.weight, 6 * fixed.graph.weight)


def test_distances_of_relations_against_a_loop(make_graph_inputs):
    inputs = make_graph_inputs(LAYOUT, size=4)
    z = inputs.z + 100  # a mean that is far off costs no digits
    graphs = [source.build(inputs) for source in (PairedView(), Knn(3))]
    n = len(z)
    pairs = {p: float((inputs.z[p[0]] - inputs.z[p[1]]).square().sum())
             for p in itertools.combinations(range(n), 2)}  # fmt: skip
    over_all = sum(pairs.values()) / len(pairs)
    expected = []
    for graph in graphs:
        edges = list(zip(graph.i.tolist(), graph.j.tolist(), strict=True))
        expected.append(sum(pairs[edge] for edge in edges) / len(edges) / over_all)
    made = relation_distances(z.requires_grad_(), [*graphs, Graph.empty(n)])
    assert made.tolist() == pytest.approx([*expected, 1.0], rel=1e-4)
    assert not made.requires_grad


@pytest.mark.parametrize("balance", SIGNS)
def test_no_point_of_the_simplex_is_below_the_softmax(balance):
    def loss(alpha):
        return balance_loss(torch.tensor(alpha, dtype=torch.float64), APART, balance, TAU).item()

    best = torch.softmax(SIGNS[balance] * APART / TAU, 0)
    steps = 60
    grid = [
        (a / steps, b / steps, (steps - a - b) / steps)
        for a in range(1, steps)
        for b in range(1, steps - a)
    ]
    nearest = min(grid, key=loss)
    assert loss(best.tolist()) < min(map(loss, grid))
    assert nearest == pytest.approx(best.tolist(), abs=1.5 / steps)
    # by the definition, with nothing of torch
    a, e = grid[7], APART.tolist()
    divergence = sum(x * math.log(x / (1 / 3)) for x in a)
    by_hand = -SIGNS[balance] * sum(map(float.__mul__, a, e)) + TAU * divergence
    assert loss(a) == pytest.approx(by_hand)


@pytest.mark.parametrize("balance", SIGNS)
def test_gradient_descent_gets_to_the_softmax(balance):
    logits = torch.tensor([2.0, -1.0, 0.0], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([logits], 1.0)
    for _ in range(1000):
        optimizer.zero_grad()
        balance_loss(logits.softmax(0), APART, balance, TAU).backward()
        optimizer.step()
    expected = torch.softmax(SIGNS[balance] * APART / TAU, 0)
    torch.testing.assert_close(logits.softmax(0).detach(), expected, atol=1e-5, rtol=0)


def shares_after(alpha, steps, lr, balance="unmet"):
    """The largest share at each step, and the last ē and α, where only α learns, in a toy."""
    model = combination(alpha, balance=balance)
    optimizer = torch.optim.SGD(model.mixture.parameters(), lr, momentum=0.9)
    largest = []
    for step in range(steps):
        inputs = _toy(step)
        made = model(inputs)
        losses = {
            "learned": invariance(inputs.z, made.graph) + regularizer(made.graph, 0.0342),
            "balanced": made.balance,
        }
        optimizer.zero_grad()
        losses[alpha].backward()
        optimizer.step()
        largest.append(made.alpha.max().item())
    graphs = [source.build(inputs) for source in model.sources.values()]
    return largest, relation_distances(inputs.z, graphs), model(inputs).alpha


def _toy(seed):
    """Features of unit length, and embeddings of spread 0.15 that follow them a little."""
    g = torch.Generator().manual_seed(seed)
    h = F.normalize(torch.rand(LAYOUT.n, 6, generator=g), dim=1)
    z = 0.15 * torch.randn(LAYOUT.n, 12, generator=g)
    z[:, :6] += h
    return engine_inputs(LAYOUT, sample_metadata(LAYOUT, g), h, z)


def test_learned_falls_onto_one_source_and_balanced_stays_inside():
    learned, _, _ = shares_after("learned", 25, lr=1.0)
    assert learned[-1] > 0.98
    for balance, sign in SIGNS.items():
        largest, apart, alpha = shares_after("balanced", 120, 0.3, balance)
        assert max(largest) < 0.35
        best = torch.softmax(sign * apart / TAU, 0)
        equal = torch.full((6,), 1 / 6)
        assert (alpha - best).abs().max() < 0.5 * (equal - best).abs().max()


def test_a_balanced_alpha_learns_from_its_own_objective_only(make_graph_inputs):
    inputs = make_graph_inputs(LAYOUT)
    z, h = inputs.z.clone().requires_grad_(), inputs.h.clone().requires_grad_()
    model = combination("balanced")
    made = model(replace(inputs, z=z, h=h))  # as with detach = false
    loss = invariance(z, made.graph) + regularizer(made.graph, 0.0342)
    weights = list(model.mixture.parameters())
    assert torch.autograd.grad(loss, weights, retain_graph=True, allow_unused=True) == (
        None,
    ) * len(weights)
    last = model.mixture.layers[-1].bias
    z_grad, h_grad, own = torch.autograd.grad(made.balance, [z, h, last], allow_unused=True)
    assert z_grad is None
    assert h_grad is None
    assert own.abs().max() > 0
    assert combination("fixed")(inputs).balance is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"balance": "both"}, "balance: expected unmet, met, got 'both'"),
        ({"balance_temperature": 0.0}, "balance_temperature must be above 0, got 0.0"),
        ({"balance_temperature": float("nan")}, "balance_temperature must be above 0"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(UsageError, match=message):
        combination("balanced", **options)
