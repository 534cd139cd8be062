"""Graph sources of places of labeled photos, against loops over their rules."""

from __future__ import annotations

from collections import namedtuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from shamisa_cli.graphs.source import GraphInputs, Places, Role
from shamisa_sources.other_image_apart import OtherImageApart
from shamisa_sources.salient_pair import SalientPair
from shamisa_sources.same_image_apart import SameImageApart

Node = namedtuple("Node", "image role teacher overlap score")


@st.composite
def tables(draw: st.DrawFn) -> GraphInputs:
    """Some photos, each with the teacher's crop, the student's and others, in any order."""
    rows = []
    for image in range(draw(st.integers(1, 4))):
        score = draw(st.floats(0, 1, width=32))
        rows += [(image, Role.POSITIVE, t, 1.0, score) for t in (True, False)]
        shares = st.lists(st.floats(0, 1, width=32), max_size=3)
        rows += [(image, Role.NEGATIVE, False, shared, score) for shared in draw(shares)]
    image, role, teacher, overlap, score = zip(*draw(st.permutations(rows)), strict=True)
    image = torch.tensor(image)
    places = Places(torch.tensor(teacher), torch.tensor(overlap), torch.tensor(score))
    empty = torch.zeros(len(image), 2)
    role = torch.tensor([int(each) for each in role])
    return GraphInputs(empty, empty, image, torch.zeros_like(image), role, places=places)


def salient_pair(a, b):
    positive = a.role == b.role == Role.POSITIVE
    return float(a.image == b.image and positive and a.teacher != b.teacher)


def same_image_apart(soft):
    def rule(a, b):
        if a.image != b.image or {a.role, b.role} != {Role.POSITIVE, Role.NEGATIVE}:
            return 0.0
        other = a if a.role == Role.NEGATIVE else b
        return 1 - other.overlap if soft else float(other.overlap < 1)

    return rule


def other_image_apart(near):
    def rule(a, b):
        if a.image == b.image:
            return 0.0
        return min(1.0, abs(a.score - b.score) / near) if near else 1.0

    return rule


RULES = [
    (SalientPair(), "build", salient_pair),
    (SameImageApart(), "build_repulsion", same_image_apart(False)),
    (SameImageApart(soft=True), "build_repulsion", same_image_apart(True)),
    (OtherImageApart(), "build_repulsion", other_image_apart(0)),
    (OtherImageApart(near=0.25), "build_repulsion", other_image_apart(0.25)),
]


@pytest.mark.parametrize(("source", "build", "rule"), RULES)
@settings(max_examples=40, deadline=None)
@given(inputs=tables())
def test_graphs_against_loops(source, build, rule, inputs):
    columns = (inputs.places.teacher, inputs.places.overlap, inputs.places.score)
    columns = (inputs.image, inputs.role, *columns)
    nodes = [Node(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]
    expected = [
        [rule(a, b) if i != j else 0.0 for j, b in enumerate(nodes)] for i, a in enumerate(nodes)
    ]
    graph = getattr(source, build)(inputs)
    graph.validate(inputs.n)
    assert torch.allclose(graph.dense(), torch.tensor(expected))


def test_what_attracts_and_what_repels():
    repelling = [each.repels for each in (SalientPair(), SameImageApart(), OtherImageApart())]
    assert repelling == [False, True, True]
    with pytest.raises(ValueError, match="near must be within"):
        OtherImageApart(near=1.5)


def test_a_mini_batch_without_places_is_told():
    empty, column = torch.zeros(2, 2), torch.zeros(2, dtype=torch.int64)
    with pytest.raises(ValueError, match="has no places"):
        SalientPair().build(GraphInputs(empty, empty, column, column, column))
