"""The files of a probe: tables, everything measured, a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shamisa_cli.probing.options import ProbeOptions
from shamisa_cli.probing.plot import plot_predictions
from shamisa_cli.probing.report import ReportRow, csv_table, json_text, markdown_table
from shamisa_cli.probing.run import FittedHead, Probed


def write_outputs(
    rows: Sequence[ReportRow],
    probed: Sequence[Probed],
    fitted: FittedHead | None,
    asked: ProbeOptions,
) -> None:
    """Write the files that were asked for; the picture is of the first of ``probed``."""
    if asked.csv:
        asked.csv.write_text(csv_table(rows), encoding="utf-8")
    if asked.markdown:
        asked.markdown.write_text(markdown_table(rows), encoding="utf-8")
    if asked.json:
        asked.json.write_text(json_text(everything(rows, probed, fitted)), encoding="utf-8")
    if asked.plot:
        plot_predictions(probed[0], asked.plot)


def everything(
    rows: Sequence[ReportRow], probed: Sequence[Probed], fitted: FittedHead | None
) -> dict[str, Any]:
    """The table, each split of each dataset, and the head's own figures, for JSON."""
    made: dict[str, Any] = {
        "rows": rows,
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
