"""Every graph source against loops over its rule; what is peculiar to one is in its own test."""

from __future__ import annotations

import math
from collections import namedtuple
from dataclasses import fields, replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from shamisa_cli.distortions.layout import BatchLayout
from shamisa_cli.graphs.source import OPTIONAL_INPUTS, Role
from shamisa_objectives.graph_vicreg import invariance
from shamisa_sources.arniqa import Arniqa
from shamisa_sources.contrique import Contrique
from shamisa_sources.degradation import Degradation
from shamisa_sources.dist_dist import DistDist
from shamisa_sources.knn import Knn
from shamisa_sources.paired_view import PairedView
from shamisa_sources.ref_dist import RefDist
from shamisa_sources.ref_ref import RefRef
from shamisa_sources.reiqa import ReIqa
from shamisa_sources.transport import Transport
from shamisa_sources.vicreg import VicReg

LAYOUTS = [BatchLayout(2, 2, 3, 2, 3), BatchLayout(1, 1, 2, 3, 2), BatchLayout(3, 2, 1, 1, 1)]
layouts = st.builds(BatchLayout, *[st.integers(1, 3)] * 5)
seeds = st.integers(0, 2**31)

Crop = namedtuple("Crop", "image view role group level severity severities")


def crops(inputs):
    made = inputs.composition
    columns = (inputs.image, inputs.view, inputs.role, made.group, made.level)
    columns += (made.varying_severity, made.severities)
    return [Crop(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]


def dense(inputs, rule):
    """The N×N matrix of a rule on two crops, by loops over all pairs."""
    nodes = crops(inputs)
    return torch.tensor(
        [[float(i != j and rule(a, b)) for j, b in enumerate(nodes)] for i, a in enumerate(nodes)]
    )


def ref_dist(a, b):
    if a.role == Role.DISTORTED:
        a, b = b, a
    of_one = (a.image, a.view, a.role, b.role) == (b.image, b.view, Role.REFERENCE, Role.DISTORTED)
    return of_one and math.exp(-3 * b.severity)


def dist_dist(a, b):
    distorted = a.role == b.role == Role.DISTORTED
    return distorted and a.group == b.group and math.exp(-3 * abs(a.severity - b.severity))


def reciprocal(rule):
    """The same edges; their severities t from w = exp(−3t), and 1/(1 + 3t) of them."""

    def weight(a, b):
        w = rule(a, b)
        return w and 1 / (1 - math.log(w))

    return weight


def ref_ref(a, b):
    return a.role == b.role == Role.REFERENCE


def paired_view(a, b):
    distorted = a.role == b.role == Role.DISTORTED
    alike = (a.group, a.level, a.view) == (b.group, b.level, b.view)
    return distorted and alike and a.image != b.image


def same_photo(a, b):
    return a.image == b.image


def same_image(a, b):
    return (a.image, a.group, a.level) == (b.image, b.group, b.level)


def contrique(degrees):
    def classes(crop):
        composed = enumerate(crop.severities)
        return {(f, round(s * (degrees - 1))) for f, s in composed if not math.isnan(s)}

    return lambda a, b: classes(a) == classes(b)


RULES = {
    "ref_dist": (RefDist(), ref_dist),
    "dist_dist": (DistDist(entries=10**6), dist_dist),
    "ref_dist reciprocal": (RefDist("reciprocal"), reciprocal(ref_dist)),
    "dist_dist reciprocal": (
        DistDist(entries=10**6, decay="reciprocal"),
        reciprocal(dist_dist),
    ),
    "ref_ref": (RefRef(), ref_ref),
    "paired_view": (PairedView(), paired_view),
    "arniqa": (Arniqa(), paired_view),
    "reiqa content": (ReIqa(), same_photo),
    "reiqa quality": (ReIqa("quality"), same_image),
    "vicreg": (VicReg(), same_image),
    "contrique 5": (Contrique(), contrique(5)),
    "contrique 2": (Contrique(2), contrique(2)),
}


def reordered(inputs, order):
    names = {f.name for f in fields(inputs)} - OPTIONAL_INPUTS
    columns = {name: getattr(inputs, name) for name in names}
    made = {f.name: getattr(inputs.composition, f.name) for f in fields(inputs.composition)}
    return replace(
        inputs,
        **{name: column[order] for name, column in columns.items()},
        composition=replace(inputs.composition, **{k: v[order] for k, v in made.items()}),
    )


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("name", RULES)
def test_source_is_its_rule(name, layout, make_graph_inputs):
    source, rule = RULES[name]
    twice = torch.tensor([*range(layout.n), layout.n - 1])  # two crops of one distorted image
    inputs = reordered(make_graph_inputs(layout, seed=1), twice)
    graph = source.build(inputs)
    graph.validate(layout.n + 1)
    assert 2 * graph.n_edges == graph.dense().count_nonzero()  # no pair twice
    torch.testing.assert_close(graph.dense(), dense(inputs, rule), atol=1e-6, rtol=0)


def anything(a, b):
    return True


def both_distorted(a, b):
    return a.role == b.role == Role.DISTORTED


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize(
    ("source", "rule", "knows"),
    [
        (Arniqa(negatives=True), paired_view, both_distorted),
        (Contrique(2, negatives=True), contrique(2), anything),
        (VicReg(negatives=True), same_image, anything),
    ],
    ids=["arniqa", "contrique", "vicreg"],
)
def test_negatives_are_all_other_pairs(source, rule, knows, layout, make_graph_inputs):
    inputs = make_graph_inputs(layout, seed=1)
    assert source.repels
    assert not type(source)().repels
    graph = source.build_repulsion(inputs)
    graph.validate(layout.n)
    expected = dense(inputs, lambda a, b: knows(a, b) and not rule(a, b))
    assert torch.equal(graph.dense(), expected)


@settings(max_examples=25, deadline=None)
@given(layout=layouts, seed=seeds)
def test_the_order_of_the_nodes_does_not_matter(make_graph_inputs, layout, seed):
    inputs = make_graph_inputs(layout, seed)
    order = torch.randperm(layout.n, generator=torch.Generator().manual_seed(seed))
    for source, _ in [*RULES.values(), (Knn(3), None)]:
        graph = source.build(reordered(inputs, order))
        graph.validate(layout.n)
        expected = source.build(inputs).dense()[order][:, order]
        torch.testing.assert_close(graph.dense(), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("source", "coeff", "edges"),
    [
        (RefDist, 0.8039, 240),  # 12 references with 20 crops each
        (DistDist, 0.1790, 2048),  # 4096/2
        (RefRef, 0.5766, 66),  # 12·11/2
        (PairedView, 0.6011, 240),  # 2·2·4·5 sets of 3 photos
        (Transport, 0.3670, 1008),  # 8·252/2
        (Knn, 0.2087, None),
        (Arniqa, 1, 240),
        (Degradation, 0, 0),
    ],
)
def test_published_coefficients_and_edges(source, coeff, edges, make_graph_inputs):
    made = source()
    made.prepare(6, torch.Generator().manual_seed(0))
    assert made.coeff == coeff
    assert edges in (made.build(make_graph_inputs(BatchLayout())).n_edges, None)


def test_contrique_joins_groups_of_one_class(make_graph_inputs):
    """Two groups of the same entries, at severities of the same degree."""
    inputs = make_graph_inputs(BatchLayout(1, 1, 1, 2, 1))
    severities = inputs.composition.severities.fill_(torch.nan)
    severities[1, [4, 9]] = torch.tensor([0.25, 0.8])
    severities[2, [4, 9]] = torch.tensor([0.3, 0.7])
    graph = Contrique().build(inputs)
    assert (graph.i.tolist(), graph.j.tolist()) == ([1], [2])
    severities[2, 4] = 0.4  # nearest to ½, no longer to ¼
    assert Contrique().build(inputs).n_edges == 0


def test_vicreg_graph_gives_vicregs_own_invariance_term(make_graph_inputs):
    """Mean squared error between the two views' embeddings, as in VICReg's paper."""
    inputs = make_graph_inputs(BatchLayout(), size=64)
    z = inputs.z
    # Full scale and half scale hold the same images in the same order.
    expected = torch.nn.functional.mse_loss(z[inputs.view == 0], z[inputs.view == 1])
    assert abs(invariance(z, VicReg().build(inputs)) - expected) < 1e-6


def knn_oracle(h, k):
    """A + Aᵀ of each node's k nearest, distances by loops."""
    rows = h.double().tolist()
    a = torch.zeros(len(rows), len(rows))
    for i, row in enumerate(rows):
        others = sorted((math.dist(row, other), j) for j, other in enumerate(rows) if j != i)
        for distance, j in others[:k]:
            a[i, j] = 1 / (1 + distance)
    return a + a.T


@settings(max_examples=25, deadline=None)
@given(seed=seeds, k=st.integers(1, 40), layout=layouts)
def test_knn_is_its_rule(make_graph_inputs, seed, k, layout):
    inputs = make_graph_inputs(layout, seed)
    graph = Knn(k).build(inputs)
    graph.validate(layout.n)
    torch.testing.assert_close(graph.dense(), knn_oracle(inputs.h, k), atol=1e-5, rtol=0)


def test_nearly_equal_features_keep_their_neighbors(make_graph_inputs):
    """Averaged ReLU features of unit length differ in the fourth digit before training."""
    inputs = make_graph_inputs(BatchLayout(1, 1, 2, 2, 4), d=512)
    anchor = torch.ones(512) / 512**0.5
    h = torch.nn.functional.normalize(anchor + 1e-4 * inputs.h, dim=1)
    found = Knn(3).build(replace(inputs, h=h)).dense() > 0
    assert torch.equal(found, knn_oracle(h, 3) > 0)


@pytest.mark.parametrize("source", [Transport(), Degradation(hidden=4)], ids=["transport", "degr."])
def test_initial_values_come_from_the_generator(source):
    before = torch.get_rng_state()
    made = []
    for seed in (0, 0, 1):
        source.prepare(6, torch.Generator().manual_seed(seed))
        made.append(torch.cat([p.detach().flatten() for p in source.parameters()]))
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("source", "options"),
    [
        (DistDist, {"entries": 1}),
        (Knn, {"k": 0}),
        (ReIqa, {"encoder": "neither"}),
        (Contrique, {"degrees": 0}),
        (Degradation, {"severity": -1.0}),
        (Transport, {"rounds": 0}),
        (Transport, {"edges_per_node": 0}),
        (Transport, {"temperature": 0.0}),
        (Transport, {"auxiliary": -1.0}),
    ],
)
def test_invalid_options_are_refused(source, options):
    with pytest.raises(ValueError, match=next(iter(options))):
        source(**options)


def test_crops_of_labeled_photos(make_graph_inputs):
    """No engine, so no composition: some sources work, the others say what they need."""
    inputs = make_graph_inputs(BatchLayout(1, 2, 3, 1, 2))
    role = torch.where(inputs.view == 0, int(Role.POSITIVE), int(Role.NEGATIVE))
    labeled = replace(inputs, role=role, composition=None)
    same = dense(inputs, same_photo)
    for source in (ReIqa(), ReIqa("quality"), VicReg()):
        assert torch.equal(source.build(labeled).dense(), same)
    transport = Transport()
    transport.prepare(6, torch.Generator().manual_seed(0))
    for source in (Knn(3), transport):
        assert torch.equal(source.build(labeled).dense(), source.build(inputs).dense())
    for source in (RefDist(), DistDist(), PairedView(), Arniqa(), Contrique()):
        with pytest.raises(ValueError, match="no composition"):
            source.build(labeled)
