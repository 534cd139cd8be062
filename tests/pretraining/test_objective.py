"""Objectives as plug-ins: found by entry points, held to their contract, refused with the fix."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from shamisa_cli.errors import ShamisaError, UsageError
from shamisa_cli.graphs.combine import GraphCombination
from shamisa_cli.graphs.graph import Graph
from shamisa_cli.graphs.source import GraphInputs
from shamisa_cli.pretraining.objective import (
    Objective,
    ObjectiveInputs,
    available_objectives,
    check_graphs,
    create_objective,
    loss_of,
)
from shamisa_cli.training.task import Loss
from shamisa_sources.knn import Knn
from shamisa_sources.vicreg import VicReg

PLUGIN = """
from shamisa_cli.pretraining.objective import Objective

class Good(Objective):
    '''Says what it is.'''
    terms = ("one", "two")
    repulsion = "optional"
    def __init__(self, margin: float = 0.5):
        super().__init__()
        self.margin = margin

class Total(Good):
    terms = ("total",)

class Listed(Good):
    terms = ["one"]

class Wrong(Good):
    repulsion = "yes"

class Other:
    pass
"""

ENTRY_POINTS = """
[shamisa.objectives]
good = third_party_objectives:Good
total = third_party_objectives:Total
listed = third_party_objectives:Listed
wrong = third_party_objectives:Wrong
other = third_party_objectives:Other
infonce = third_party_objectives:Good
"""


@pytest.fixture
def third_party(install_plugins):
    install_plugins(ENTRY_POINTS, third_party_objectives=PLUGIN)


def test_ours_are_there_with_their_published_options() -> None:
    options = {
        entry.name: {p.name: p.default for p in entry.parameters}
        for entry in available_objectives().values()
        if entry.distribution == "shamisa"
    }
    assert options == {
        "graph_vicreg": {
            "variance": 11.976, "invariance": 88.369, "covariance": 57.212, "regularizer": 0.0342,
        },
        "infonce": {"temperature": 0.1, "other_positives": False},
    }  # fmt: skip


@pytest.mark.usefixtures("third_party")
class TestThirdParty:
    def test_its_objective_is_made(self, monkeypatch: pytest.MonkeyPatch) -> None:
        made: Any = create_objective({"name": "good", "margin": 2})
        assert made.margin == 2.0
        assert available_objectives()["infonce"].distribution == "shamisa"
        monkeypatch.setenv("SHAMISA_NO_PLUGINS", "1")
        assert set(available_objectives()) == {"graph_vicreg", "infonce"}

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("total", "a term cannot be called 'total'"),
            ("listed", r"its terms must be a tuple of names, not \['one'\]"),
            ("wrong", "repulsion must be refused, optional, needed, not 'yes'"),
            ("other", "is not a subclass of shamisa_cli's Objective"),
            ("infonce (third-party)", "taken by shamisa"),
        ],
    )
    def test_a_broken_one_is_named_and_refused(self, name: str, message: str) -> None:
        with pytest.raises(UsageError, match=f"objective '.*' .*is broken: .*{message}"):
            create_objective({"name": name})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "infonse"}, "unknown objective 'infonse'. Did you mean infonce"),
        ({"name": "infonce", "temprature": 1}, "'temprature'. Did you mean temperature"),
        ({"name": "infonce", "temperature": "hot"}, "temperature: expected float, got 'hot'"),
        ({"name": "infonce", "temperature": 0}, "temperature must be above 0, got 0"),
        ({"name": "infonce", "temperature": float("nan")}, "temperature must be above 0, got nan"),
        ({"name": "graph_vicreg", "temperature": 1}, "unknown key in objective 'graph_vicreg'"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        create_objective(settings)


def test_an_installation_that_knows_no_objective_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("shamisa_cli.plugins.entry_points", lambda group: [])
    with pytest.raises(UsageError, match=r"no objective is registered .*: install shamisa again"):
        create_objective({"name": "infonce"})


def graphs(*, negatives: bool) -> GraphCombination:
    sources = {"near": (Knn(3), 1.0), "pairs": (VicReg(negatives=negatives), 1.0)}
    return GraphCombination(sources)


def test_graphs_that_do_not_fit_are_refused_with_the_fix() -> None:
    published = create_objective({"name": "graph_vicreg"})
    contrast = create_objective({"name": "infonce"})
    check_graphs("graph_vicreg", published, graphs(negatives=False), detach=False)
    check_graphs("infonce", contrast, graphs(negatives=True), detach=True)
    message = "'graph_vicreg' does not hold crops apart, and graph source 'pairs' repels: .*infonce"
    with pytest.raises(UsageError, match=message):
        check_graphs("graph_vicreg", published, graphs(negatives=True), detach=True)
    message = "'infonce' needs a graph source that repels, and none of near, pairs does: .*vicreg"
    with pytest.raises(UsageError, match=message):
        check_graphs("infonce", contrast, graphs(negatives=False), detach=True)
    with pytest.raises(UsageError, match=r"detach = false .* objective 'infonce' has none"):
        check_graphs("infonce", contrast, graphs(negatives=True), detach=False)


class Returns(Objective):
    """Returns or raises what it is given."""

    terms = ("one", "two")

    def __init__(self, result: Any) -> None:
        super().__init__()
        self.result = result

    def forward(self, inputs: ObjectiveInputs) -> Loss:
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


def inputs() -> ObjectiveInputs:
    z, column = torch.zeros(2, 3), torch.zeros(2, dtype=torch.int64)
    none = Graph.empty(2)
    return ObjectiveInputs(z, GraphInputs(z, z, column, column, column), none, none, {}, none)


ONE = torch.tensor(1.0)


@pytest.mark.parametrize(
    ("result", "error", "message"),
    [
        (None, UsageError, "objective 'mine' returned a NoneType, not a Loss"),
        (Loss(ONE, {"one": ONE}), UsageError, "returned the terms one, and says .* one, two"),
        (Loss(ONE, {"one": ONE, "two": ONE[None]}), UsageError, "its two is not a scalar tensor"),
        (Loss(ONE, {"one": 1.0, "two": ONE}), UsageError, "its one is not a scalar"),
        (Loss(ONE[None], {"one": ONE, "two": ONE}), UsageError, "its total is not a scalar"),
        (Loss(ONE / 0, {"one": ONE, "two": ONE}), FloatingPointError, "loss is not finite"),
        (Loss(ONE, {"one": ONE, "two": 0 * ONE / 0}), FloatingPointError, "loss is not finite"),
        (ValueError("no such row"), ShamisaError, "'mine' failed: ValueError: no such row. Fix"),
        (FloatingPointError("nan"), FloatingPointError, "nan"),
    ],
)
def test_a_faulty_objective_is_named(result: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        loss_of("mine", Returns(result), inputs())


def test_one_that_forgot_its_forward_is_named() -> None:
    with pytest.raises(ShamisaError, match="'mine' failed: NotImplementedError: Objective has no"):
        loss_of("mine", Objective(), inputs())


def test_the_example_of_the_documentation_is_an_objective() -> None:
    page = Path(__file__).parents[2] / "docs" / "objectives.md"
    code = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    names: dict[str, Any] = {}
    exec(code[0], names)
    made: Objective = names["Margin"](margin=0.2)
    z = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.6, 0.8]], requires_grad=True)
    column = torch.zeros(3, dtype=torch.int64)
    first, second = torch.tensor([0]), torch.tensor([1])
    near = Graph(3, first, second, torch.tensor([2.0]))
    apart = Graph(3, first, second + 1, torch.tensor([1.0]))
    nodes = GraphInputs(z.detach(), z.detach(), column, column, column)
    loss = loss_of("margin", made, ObjectiveInputs(z, nodes, near, apart, {}, near))
    assert loss.terms["pull"].item() == pytest.approx(2 * 2 * (1 - 0.5**0.5) / 9, rel=1e-5)
    assert loss.terms["push"].item() == pytest.approx(2 * (0.6 - 0.2) / 9, rel=1e-5)
