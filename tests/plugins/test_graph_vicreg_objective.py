"""Every loss term against NumPy and SciPy in float64, and its gradients by differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from shamisa_cli.graphs.graph import Graph
from shamisa_cli.graphs.source import GraphInputs
from shamisa_cli.pretraining.objective import ObjectiveInputs
from shamisa_objectives.graph_vicreg import (
    GraphVicReg,
    covariance,
    invariance,
    regularizer,
    variance,
)

VIEWS = torch.tensor([0, 0, 1, 1, 0, 1, 1, 0])


def random_case(seed, dtype=torch.float64, scale=1.0, offset=0.0):
    g = torch.Generator().manual_seed(seed)
    z = scale * torch.randn(8, 4, generator=g, dtype=dtype) + offset
    i, j = torch.triu_indices(8, 8, offset=1)[:, torch.rand(28, generator=g) < 0.5]
    return z, Graph(8, i, j, torch.rand(len(i), generator=g, dtype=dtype))


def objective(z, graph, views, auxiliary):
    nodes = GraphInputs(z.detach(), z.detach(), views, views, views)
    seen = ObjectiveInputs(z, nodes, graph, Graph.empty(len(z)), auxiliary, graph)
    return GraphVicReg()(seen)


def oracle_invariance(z, a):
    return (a * cdist(z, z, "sqeuclidean")).sum() / z.size  # every pair twice


def oracle_variance(z, views):
    parts = [z[views == view] for view in np.unique(views)]
    return sum(np.maximum(0, 1 - np.sqrt(p.var(0, ddof=1) + 1e-4)).mean() for p in parts) / 2


def oracle_covariance(z, views):
    covariances = [np.cov(z[views == view].T) for view in np.unique(views)]
    off_diagonal = ~np.eye(z.shape[1], dtype=bool)
    return sum((cov[off_diagonal] ** 2).sum() / len(cov) for cov in covariances)


cases = {
    "seed": st.integers(0, 2**31),
    "scale": st.sampled_from([0.01, 0.3, 1.0, 3.0]),
    "offset": st.sampled_from([0.0, 10.0]),
}


@settings(max_examples=40, deadline=None)
@given(**cases)
def test_terms_are_their_formulas(seed, scale, offset):
    z, graph = random_case(seed, scale=scale, offset=offset)
    rows, a, views = z.numpy(), graph.dense().numpy(), VIEWS.numpy()
    assert invariance(z, graph).item() == pytest.approx(oracle_invariance(rows, a), rel=1e-9)
    assert variance(z, VIEWS).item() == pytest.approx(oracle_variance(rows, views), rel=1e-9)
    assert covariance(z, VIEWS).item() == pytest.approx(oracle_covariance(rows, views), rel=1e-9)
    assert regularizer(graph, 0.0342).item() == pytest.approx(-0.0342 * (a**2).sum())


@settings(max_examples=20, deadline=None)
@given(**cases)
def test_float32_keeps_its_digits(seed, scale, offset):
    """A far mean costs the inner-product form nothing, as z is centered first."""
    z, graph = random_case(seed, scale=scale, offset=offset)
    z32 = z.float()
    single = Graph(graph.n, graph.i, graph.j, graph.weight.float())
    expected = invariance(z32.double(), graph).item()
    assert invariance(z32, single).item() == pytest.approx(expected, rel=2e-4, abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_gradients(seed):
    z, graph = random_case(seed, scale=0.5)
    z.requires_grad_()
    weight = graph.weight.clone().requires_grad_()

    def with_weight(w):
        return Graph(graph.n, graph.i, graph.j, w)

    check = torch.autograd.gradcheck
    assert check(lambda z, w: invariance(z, with_weight(w)), (z, weight))
    assert check(lambda z: variance(z, VIEWS), z)
    assert check(lambda z: covariance(z, VIEWS), z)
    assert check(lambda w: regularizer(with_weight(w), 0.0342), weight)
    assert check(lambda z, w: objective(z, with_weight(w), VIEWS, {}).total, (z, weight))


def test_total_is_method_md_section_5():
    z, graph = random_case(0)
    auxiliary = {"transport": torch.tensor(0.3), "other": torch.tensor(0.2)}
    loss = objective(z, graph, VIEWS, auxiliary)
    terms = loss.terms
    assert terms["auxiliary"].item() == pytest.approx(0.5)
    l_inv = terms["invariance"] + 0.5 + terms["regularizer"]
    expected = 11.976 * terms["variance"] + 88.369 * l_inv + 57.212 * terms["covariance"]
    assert loss.total.item() == pytest.approx(expected.item())
    assert terms["regularizer"].item() == pytest.approx(
        -0.0342 * graph.dense().square().sum().item(), rel=1e-6
    )


def test_empty_graph_pulls_nothing():
    z, _ = random_case(0, torch.float32)
    terms = objective(z, Graph.empty(8), VIEWS, {}).terms
    assert terms["invariance"] == terms["auxiliary"] == terms["regularizer"] == 0


def test_collapse_and_spread():
    """Constant embeddings cost 0.99 in variance and nothing in covariance."""
    constant = torch.ones(8, 4)
    assert variance(constant, VIEWS).item() == pytest.approx(0.99)
    assert covariance(constant, VIEWS).item() == 0
    spread = torch.linspace(-4, 4, 8)[:, None].expand(8, 4)
    assert variance(spread, VIEWS).item() == 0
    assert covariance(spread, VIEWS).item() > 0


def test_views_are_judged_apart():
    """Two constant halves with different means are collapsed, though the batch is spread."""
    z = torch.where(VIEWS[:, None] == 0, -3.0, 3.0).expand(8, 4)
    assert variance(z, VIEWS).item() == pytest.approx(0.99)


def test_mixed_precision_is_left_outside():
    z, graph = random_case(0, torch.float32)
    expected = objective(z, graph, VIEWS, {})
    with torch.autocast("cpu", torch.bfloat16):
        loss = objective(z, graph, VIEWS, {})
    assert torch.equal(loss.total, expected.total)
    rounded = objective(z.bfloat16(), graph, VIEWS, {})
    assert {t.dtype for t in (rounded.total, *rounded.terms.values())} == {torch.float32}


def test_a_view_of_one_crop_is_refused():
    z, _ = random_case(0)
    with pytest.raises(ValueError, match="two crops in every view"):
        variance(z, torch.tensor([0] * 7 + [1]))
