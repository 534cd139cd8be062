"""``shamisa graphs``."""

from __future__ import annotations

from inspect import Parameter

from click.testing import CliRunner

from shamisa_cli.cli import app
from shamisa_cli.graphs import registry
from shamisa_cli.graphs.source import GraphSource
from shamisa_cli.plugins import Entry


class Source(GraphSource):
    """Says what it is."""

    needs = frozenset({"composition"})


def test_every_source_is_listed(monkeypatch):
    required = Parameter("k", Parameter.KEYWORD_ONLY, annotation=int)
    default = Parameter("mode", Parameter.KEYWORD_ONLY, default="a")
    entries = {
        "good": Entry("good", "other", "1.2", Source, (required, default)),
        "crash": Entry("crash", "other", "1.2", error="No such file"),
    }
    monkeypatch.setattr(registry, "available_sources", lambda: entries)
    result = CliRunner().invoke(app, ["graphs"])
    assert result.exit_code == 0
    assert [line.split() for line in result.output.splitlines()] == [
        ["good", "other", "1.2", "coeff=1.0,", "k=(required),", "mode=a"],
        ["Says", "what", "it", "is.", "(needs", "composition)"],
        ["crash", "other", "1.2", "BROKEN:", "No", "such", "file"],
    ]
