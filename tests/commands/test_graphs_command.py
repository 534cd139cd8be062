"""``shamisa graphs`` and the option that names a graph source."""

from __future__ import annotations

from inspect import Parameter

import pytest
from click.testing import CliRunner

from shamisa_cli.cli import app
from shamisa_cli.commands.graphs import parse_source_option
from shamisa_cli.errors import UsageError
from shamisa_cli.graphs import registry
from shamisa_cli.graphs.registry import SourceEntry
from shamisa_cli.graphs.source import GraphSource


class Source(GraphSource):
    """Says what it is."""

    needs = frozenset({"composition"})


def test_every_source_is_listed(monkeypatch):
    required = Parameter("k", Parameter.KEYWORD_ONLY, annotation=int)
    default = Parameter("mode", Parameter.KEYWORD_ONLY, default="a")
    entries = {
        "good": SourceEntry("good", "other", "1.2", Source, (required, default)),
        "crash": SourceEntry("crash", "other", "1.2", error="No such file"),
    }
    monkeypatch.setattr(registry, "available_sources", lambda: entries)
    result = CliRunner().invoke(app, ["graphs"])
    assert result.exit_code == 0
    assert [line.split() for line in result.output.splitlines()] == [
        ["good", "other", "1.2", "coeff=1.0,", "k=(required),", "mode=a"],
        ["Says", "what", "it", "is.", "(needs", "composition)"],
        ["crash", "other", "1.2", "BROKEN:", "No", "such", "file"],
    ]


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
    assert parse_source_option(text) == expected


@pytest.mark.parametrize("text", ["knn:", "knn:k", "knn:k=", "knn:=3", "knn:k=1,k=2", ":k=1", ""])
def test_malformed_option_is_refused(text):
    with pytest.raises(UsageError, match="--graph"):
        parse_source_option(text)
