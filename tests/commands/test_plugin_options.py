"""The option that names a plug-in, and ``shamisa objectives``."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from shamisa_cli.cli import app
from shamisa_cli.commands.plugins import parse_plugin_option
from shamisa_cli.errors import UsageError
from shamisa_cli.plugins import Entry
from shamisa_cli.pretraining import objective
from shamisa_cli.pretraining.objective import Objective


class Either(Objective):
    """Says what it is."""

    repulsion = "optional"


def test_every_objective_is_listed(monkeypatch):
    ours = objective.available_objectives()["infonce"]
    entries = {
        "either": Entry("either", "other", "1.2", Either),
        "infonce": ours,
        "crash": Entry("crash", "other", "1.2", error="No such file"),
    }
    monkeypatch.setattr(objective, "available_objectives", lambda: entries)
    result = CliRunner().invoke(app, ["objectives"])
    assert result.exit_code == 0
    lines = [line.split() for line in result.output.splitlines()]
    assert lines[:2] == [["either", "other", "1.2"], ["Says", "what", "it", "is."]]
    assert lines[2][0] == "infonce"
    assert lines[2][-2:] == ["temperature=0.1,", "other_positives=False"]
    assert lines[3][-4:] == ["(a", "source", "must", "repel)"]
    assert lines[4] == ["crash", "other", "1.2", "BROKEN:", "No", "such", "file"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("knn", ("knn", {})),
        ("knn:k=31,coeff=0.2", ("knn", {"k": 31, "coeff": 0.2})),
        ("reiqa: encoder=quality", ("reiqa", {"encoder": "quality"})),
        ("x:on=true,off=False,none=None", ("x", {"on": True, "off": False, "none": None})),
        ("x:t=1e-3", ("x", {"t": 0.001})),
    ],
)
def test_option(text, expected):
    assert parse_plugin_option("--graph", text) == expected


@pytest.mark.parametrize("text", ["knn:", "knn:k", "knn:k=", "knn:=3", "knn:k=1,k=2", ":k=1", ""])
def test_malformed_option_is_refused(text):
    with pytest.raises(UsageError, match="--graph"):
        parse_plugin_option("--graph", text)
