"""The prior methods' graphs against loops over what their papers join."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from shamisa_cli.distortions.layout import BatchLayout
from shamisa_cli.pretraining.objective import invariance
from shamisa_sources.arniqa import Arniqa
from shamisa_sources.contrique import Contrique
from shamisa_sources.reiqa import ReIqa
from shamisa_sources.vicreg import VicReg

LAYOUT = BatchLayout(2, 2, 3, 2, 3)


def joined(inputs, alike):
    """The binary N×N matrix of a rule on (node index, coordinates) pairs, by loops."""
    nodes = [tuple(row) for row in inputs.layout.coordinates.tolist()]
    return torch.tensor(
        [[float(i != j and alike(a, b)) for j, b in enumerate(nodes)] for i, a in enumerate(nodes)]
    )


def contrique_class(inputs, node, degrees):
    b, _, _, c, level = node
    if c < 0:
        return frozenset()
    functions = inputs.metadata.functions[b, c].tolist()
    severities = inputs.metadata.severities[b, c, level].tolist()
    return frozenset(
        (f, round(s * (degrees - 1))) for f, s in zip(functions, severities, strict=True) if f >= 0
    )


def test_arniqa(make_graph_inputs):
    inputs = make_graph_inputs(LAYOUT)

    def alike(a, b):
        (tb, s, r, c, level), (tb2, s2, r2, c2, level2) = a, b
        return c >= 0 and (tb, s, c, level) == (tb2, s2, c2, level2) and r != r2

    assert torch.equal(Arniqa().build(inputs).dense(), joined(inputs, alike))


def test_reiqa_content(make_graph_inputs):
    inputs = make_graph_inputs(LAYOUT)
    expected = joined(inputs, lambda a, b: (a[0], a[2]) == (b[0], b[2]))
    assert torch.equal(ReIqa().build(inputs).dense(), expected)


def test_reiqa_quality_and_vicreg(make_graph_inputs):
    inputs = make_graph_inputs(LAYOUT)
    expected = joined(inputs, lambda a, b: (a[0], *a[2:]) == (b[0], *b[2:]))
    assert torch.equal(ReIqa("quality").build(inputs).dense(), expected)
    assert torch.equal(VicReg().build(inputs).dense(), expected)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**31), degrees=st.integers(1, 6))
def test_contrique(make_graph_inputs, seed, degrees):
    inputs = make_graph_inputs(BatchLayout(2, 1, 2, 2, 4), seed)

    def alike(a, b):
        return contrique_class(inputs, a, degrees) == contrique_class(inputs, b, degrees)

    assert torch.equal(Contrique(degrees).build(inputs).dense(), joined(inputs, alike))


def test_contrique_joins_groups_of_one_class(make_graph_inputs):
    """The same functions in another order, at severities of the same degree."""
    inputs = make_graph_inputs(BatchLayout(1, 1, 1, 2, 1))
    functions, severities = inputs.metadata.functions, inputs.metadata.severities
    functions.fill_(-1)
    severities.zero_()
    functions[0, 0, :2] = torch.tensor([4, 9])
    functions[0, 1, :2] = torch.tensor([9, 4])
    severities[0, 0, 0, :2] = torch.tensor([0.25, 0.8])
    severities[0, 1, 0, :2] = torch.tensor([0.7, 0.3])
    graph = Contrique().build(inputs)
    assert (graph.i.tolist(), graph.j.tolist()) == ([1], [2])
    severities[0, 1, 0, 1] = 0.4  # nearest to ½, no longer to ¼
    assert Contrique().build(inputs).n_edges == 0


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_invariants(make_graph_inputs, seed):
    inputs = make_graph_inputs(LAYOUT, seed)
    for source in (Arniqa(), ReIqa(), ReIqa("quality"), Contrique(), VicReg()):
        graph = source.build(inputs)
        graph.validate(LAYOUT.n)
        a = graph.dense()
        assert torch.equal(a, a.T)
        assert a.diagonal().abs().sum() == 0
        assert set(graph.weight.tolist()) == {1.0}


def test_vicreg_graph_gives_vicregs_own_invariance_term(make_graph_inputs):
    """Mean squared error between the two views' embeddings, as in VICReg's paper."""
    inputs = make_graph_inputs(BatchLayout(), size=64)
    z = inputs.z
    view = inputs.layout.view
    # Full scale and half scale hold the same images in the same order.
    expected = torch.nn.functional.mse_loss(z[view == 0], z[view == 1])
    ours = invariance(z, VicReg().build(inputs))
    assert abs(ours - expected) < 1e-6


@pytest.mark.parametrize("source", [ReIqa, Contrique])
def test_senseless_options_are_refused(source):
    with pytest.raises(ValueError, match="must be"):
        source("neither" if source is ReIqa else 0)
