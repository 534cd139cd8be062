"""The table that papers print, as text, Markdown, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass, field, fields
from typing import Any

from shamisa_cli.evaluation.evaluate import Summary
from shamisa_cli.evaluation.measures import MEASURES
from shamisa_cli.ladders.ladder import LadderResult

ITSELF = "itself"
"""What each of several datasets was fitted on, where each has splits of its own."""


@dataclass(frozen=True)
class ReportRow:
    """One model on one dataset.

    Attributes
    ----------
    model : its name.
    tested_on, fitted_on : datasets; the same one where splits were drawn.
    images : in the test (all of them over the splits).
    splits : their number; 1 where all of one dataset predicts all of another.
    alpha : ridge strength, the median over the splits.
    measures : by name, over the splits.
    note : what else was done, such as ladders or full reference.
    """

    model: str
    tested_on: str
    fitted_on: str
    images: int
    splits: int
    alpha: float
    measures: dict[str, Summary] = field(default_factory=dict)
    note: str = ""

    @property
    def group(self) -> tuple[str, str, str]:
        """Model, fit and note: of rows that share them an average has a meaning."""
        fitted_on = ITSELF if self.fitted_on == self.tested_on else self.fitted_on
        return self.model, fitted_on, self.note


def text_table(rows: Sequence[ReportRow]) -> str:
    """For the terminal: medians, and the standard deviation of SRCC and PLCC over the splits."""
    return aligned(_cells(rows))


def markdown_table(rows: Sequence[ReportRow]) -> str:
    """The same as a Markdown table."""
    return markdown(_cells(rows))


def csv_table(rows: Sequence[ReportRow]) -> str:
    """One line a row and measure, with median, std, low and high."""
    made = io.StringIO()
    writer = csv.writer(made, lineterminator="\n")
    facts = ["model", "tested_on", "fitted_on", "images", "splits", "alpha", "note"]
    writer.writerow([*facts, "measure", "median", "std", "low", "high"])
    for row in rows:
        for name, summary in row.measures.items():
            values = asdict(row)
            numbers = [summary.median, summary.std, summary.low, summary.high]
            writer.writerow([*(values[fact] for fact in facts), name, *numbers])
    return made.getvalue()


def json_text(content: Any) -> str:
    """JSON of dataclasses, mappings and numbers; an undefined number (NaN) is null."""
    return json.dumps(_plain(content), indent=2, allow_nan=False) + "\n"


def ladder_table(results: dict[str, LadderResult]) -> str:
    """Per distortion: ladders, share of adjacent levels in the right order, Kendall's τ."""
    return aligned(_ladder_cells(results))


def ladder_markdown(results: dict[str, LadderResult]) -> str:
    """The same as a Markdown table."""
    return markdown(_ladder_cells(results))


def ladder_csv(results: dict[str, LadderResult]) -> str:
    """The same as CSV, with all decimals."""
    made = io.StringIO()
    writer = csv.writer(made, lineterminator="\n")
    writer.writerow(["distortion", *(each.name for each in fields(LadderResult))])
    writer.writerows([name, *astuple(result)] for name, result in results.items())
    return made.getvalue()


def with_averages(rows: Sequence[ReportRow]) -> list[ReportRow]:
    """``rows``, and after them for each model with several datasets the mean of their medians."""
    made = list(rows)
    groups: dict[tuple[str, str, str], list[ReportRow]] = {}
    for row in rows:
        groups.setdefault(row.group, []).append(row)
    for (model, fitted_on, note), members in groups.items():
        if len(members) > 1:
            made.append(_average(model, fitted_on, note, members))
    return made


def _average(model: str, fitted_on: str, note: str, rows: list[ReportRow]) -> ReportRow:
    """RMSE is left out: its units differ between datasets."""
    measures = {}
    for name in rows[0].measures:
        if name != "rmse":
            median = sum(row.measures[name].median for row in rows) / len(rows)
            measures[name] = Summary(median, math.nan, math.nan, math.nan)
    images = sum(row.images for row in rows)
    title = f"average of {len(rows)}"
    return ReportRow(model, title, fitted_on, images, rows[0].splits, math.nan, measures, note)


def _cells(rows: Sequence[ReportRow]) -> list[list[str]]:
    names = [measure.name for measure in MEASURES]
    notes = any(row.note for row in rows)
    header = ["model", "tested on", "fitted on", "images", "splits", *map(_title, names), "α"]
    lines = [header + ["note"] * notes]
    for row in rows:
        facts = [row.model, row.tested_on, row.fitted_on, str(row.images), str(row.splits)]
        values = [_value(row.measures.get(name), row.splits) for name in names]
        alpha = "" if math.isnan(row.alpha) else f"{row.alpha:.3g}"
        lines.append([*facts, *values, alpha] + [row.note] * notes)
    return lines


def _ladder_cells(results: dict[str, LadderResult]) -> list[list[str]]:
    header = ["distortion", "ladders", "in order", "Kendall τ"]
    return [header] + [
        [name, str(result.ladders), f"{result.in_order:.3f}", f"{result.tau:+.3f}"]
        for name, result in results.items()
    ]


def _title(name: str) -> str:
    return "PLCC logistic" if name == "plcc_logistic" else name.upper()


def _value(summary: Summary | None, splits: int) -> str:
    if summary is None:
        return ""
    spread = f" ±{summary.std:.3f}" if splits > 1 and not math.isnan(summary.std) else ""
    return f"{summary.median:.3f}{spread}"


def aligned(lines: list[list[str]]) -> str:
    """Lines with the columns of equal width."""
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    rows = ("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) for line in lines)
    return "".join(row.rstrip() + "\n" for row in rows)


def markdown(lines: list[list[str]]) -> str:
    """The first of ``lines`` as the header of a Markdown table."""
    header, *body = lines
    ruled = [header, ["---"] * len(header), *body]
    return "".join(f"| {' | '.join(line)} |\n" for line in ruled)


def _plain(value: Any) -> Any:
    if hasattr(value, "__dataclass_fields__"):
        return {name: _plain(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, dict):
        return {str(key): _plain(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
