"""The files of a probe: tables, everything measured, a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from shamisa_cli.evaluation.options import ProbeOptions
from shamisa_cli.evaluation.paper_table import paper_lines, paper_markdown, paper_text
from shamisa_cli.evaluation.plot import plot_predictions
from shamisa_cli.evaluation.probe import FittedHead, Probed
from shamisa_cli.evaluation.report import (
    ReportRow,
    csv_table,
    json_text,
    ladder_csv,
    ladder_markdown,
    markdown_table,
    text_table,
    with_averages,
)
from shamisa_cli.ladders.ladder import LadderResult


def print_tables(rows: Sequence[ReportRow]) -> None:
    """Everything measured; with several datasets also the table of papers."""
    click.echo(text_table(with_averages(rows)), nl=False)
    if table := paper_text(paper_lines(rows)):
        click.echo(f"\n{table}", nl=False)


def write_outputs(
    rows: Sequence[ReportRow],
    probed: Sequence[Probed],
    fitted: FittedHead | None,
    asked: ProbeOptions,
) -> None:
    """Write the files that were asked for; the picture is of the first of ``probed``."""
    if asked.csv:
        asked.csv.write_text(csv_table(with_averages(rows)), encoding="utf-8")
    if asked.markdown:
        tables = [markdown_table(with_averages(rows)), paper_markdown(paper_lines(rows))]
        asked.markdown.write_text("\n".join(filter(None, tables)), encoding="utf-8")
    if asked.json:
        asked.json.write_text(json_text(everything(rows, probed, fitted)), encoding="utf-8")
    if asked.plot:
        plot_predictions(probed[0], asked.plot)


def write_ladder_outputs(results: dict[str, LadderResult], asked: ProbeOptions) -> None:
    """Write the files that were asked for of the figures of ladders."""
    if asked.csv:
        asked.csv.write_text(ladder_csv(results), encoding="utf-8")
    if asked.markdown:
        asked.markdown.write_text(ladder_markdown(results), encoding="utf-8")
    if asked.json:
        asked.json.write_text(json_text(results), encoding="utf-8")


def everything(
    rows: Sequence[ReportRow], probed: Sequence[Probed], fitted: FittedHead | None
) -> dict[str, Any]:
    """The table, each split of each dataset, and the head's own figures, for JSON."""
    made: dict[str, Any] = {
        "rows": with_averages(rows),
        "table": paper_lines(rows),
        "splits": [
            {
                "model": one.model,
                "dataset": one.dataset.info.name,
                "alpha": result.alpha,
                **result.measures,
            }
            for one in probed
            for result in one.results
        ],
    }
    if fitted is not None:
        made["head"] = {"info": fitted.head.info, "measures": fitted.measures}
        made["ladders"] = fitted.ladders
    return made
