"""Tables as text, Markdown, CSV and JSON: everything measured, and the table that papers print."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from statistics import fmean
from typing import Any

from shamisa_cli.evaluation.evaluate import Summary
from shamisa_cli.evaluation.measures import MEASURES

Cells = list[list[str]]
"""The lines of a table, the first of them its header."""

ITSELF = "itself"
"""What each of several datasets was fitted on, where each has splits of its own."""

SHOWN = ("srcc", "plcc")
"""The measures of a cell of the papers' table: medians over the splits, or of one fit on all."""


@dataclass(frozen=True)
class ReportRow:
    """One model on one dataset.

    Attributes
    ----------
    model : its name.
    tested_on, fitted_on : datasets; the same one where splits were drawn.
    images : in the test (all of them over the splits).
    splits : their number; 1 where all of one dataset predicts all of another.
    strength : of the ridge, the median over the splits.
    measures : by name, over the splits.
    note : what else was done, such as ladders or full reference.
    left_out : images that could not be read.
    """

    model: str
    tested_on: str
    fitted_on: str
    images: int
    splits: int
    strength: float
    measures: dict[str, Summary] = field(default_factory=dict)
    note: str = ""
    left_out: int = 0

    @property
    def group(self) -> tuple[str, str, str]:
        """Model, fit and note: of rows that share them an average has a meaning."""
        fitted_on = ITSELF if self.fitted_on == self.tested_on else self.fitted_on
        return self.model, fitted_on, self.note

    @property
    def full_note(self) -> str:
        """The note, and how many images are missing."""
        missing = f"{self.left_out} unreadable left out" if self.left_out else ""
        return ", ".join(filter(None, [self.note, missing]))


def row_cells(rows: Sequence[ReportRow]) -> Cells:
    """Medians, and the standard deviation over the splits."""
    notes = any(row.full_note for row in rows)
    titles = ["PLCC logistic" if name == "plcc_logistic" else name.upper() for name in MEASURES]
    header = ["model", "tested on", "fitted on", "images", "splits", *titles, "strength"]
    lines = [header + ["note"] * notes]
    for row in rows:
        facts = [row.model, row.tested_on, row.fitted_on, str(row.images), str(row.splits)]
        values = [_value(row.measures.get(name), row.splits) for name in MEASURES]
        strength = "" if math.isnan(row.strength) else f"{row.strength:.3g}"
        lines.append([*facts, *values, strength] + [row.full_note] * notes)
    return lines


def csv_table(rows: Sequence[ReportRow], more: Iterable[list[object]] = ()) -> str:
    """One line a row and measure, with median, std, low and high; ``more`` lines below these."""
    facts = ["model", "tested_on", "fitted_on", "images", "splits", "strength", "full_note"]
    lines: list[list[object]] = [[*facts[:-1], "note", "measure", "median", "std", "low", "high"]]
    for row in rows:
        values = [getattr(row, fact) for fact in facts]
        lines += [[*values, name, *asdict(each).values()] for name, each in row.measures.items()]
    return csv_text([*lines, *more])


def with_averages(rows: Sequence[ReportRow]) -> list[ReportRow]:
    """``rows``, and after them for each model with several datasets the mean of their medians."""
    groups: dict[tuple[str, str, str], list[ReportRow]] = {}
    for row in rows:
        groups.setdefault(row.group, []).append(row)
    return [*rows, *(_average(members) for members in groups.values() if len(members) > 1)]


def _average(rows: list[ReportRow]) -> ReportRow:
    """RMSE is left out: its units differ between datasets."""
    model, fitted_on, note = rows[0].group
    measures = {
        name: Summary(fmean(row.measures[name].median for row in rows), *[math.nan] * 3)
        for name in rows[0].measures
        if name != "rmse"
    }
    images, left_out = sum(row.images for row in rows), sum(row.left_out for row in rows)
    title, splits = f"average of {len(rows)}", rows[0].splits
    return ReportRow(model, title, fitted_on, images, splits, math.nan, measures, note, left_out)


def _value(summary: Summary | None, splits: int) -> str:
    if summary is None:
        return ""
    spread = f" ±{summary.std:.3f}" if splits > 1 and not math.isnan(summary.std) else ""
    return f"{summary.median:.3f}{spread}"


@dataclass(frozen=True)
class PaperLine:
    """One model, fitted in one way: a line of the table that papers print.

    Attributes
    ----------
    fitted_on : the dataset that all of the others were predicted from; ``itself`` where every
        dataset has splits of its own.
    datasets : by name what it was tested on, and there the measures of :data:`SHOWN`.
    average : of each measure over the datasets.
    """

    model: str
    fitted_on: str
    note: str
    datasets: dict[str, dict[str, float]]
    average: dict[str, float]


def paper_lines(rows: Sequence[ReportRow]) -> list[PaperLine]:
    """The lines of ``rows``, which are without averages."""
    groups: dict[tuple[str, str, str], dict[str, dict[str, float]]] = {}
    for row in rows:
        values = {name: row.measures[name].median for name in SHOWN}
        groups.setdefault(row.group, {})[row.tested_on] = values
    return [
        PaperLine(*group, tested, {n: fmean(v[n] for v in tested.values()) for n in SHOWN})
        for group, tested in groups.items()
    ]


def paper_cells(lines: Sequence[PaperLine]) -> Cells:
    """A column for each dataset and their average; empty for a single dataset."""
    columns = list(dict.fromkeys(name for line in lines for name in line.datasets))
    if len(columns) < 2:
        return []
    title = " / ".join(name.upper() for name in SHOWN)
    made = [["model", f"{title}, fitted on", *columns, "average"]]
    for line in lines:
        fit = f"{line.fitted_on} ({line.note})" if line.note else line.fitted_on
        values = [_cell(line.datasets.get(name)) for name in columns]
        average = _cell(line.average if len(line.datasets) > 1 else None)
        made.append([line.model, fit, *values, average])
    return made


def _cell(values: dict[str, float] | None) -> str:
    return " / ".join(f"{values[name]:.3f}" for name in SHOWN) if values else "–"


def text_table(cells: Cells) -> str:
    """For the terminal: columns of equal width."""
    widths = [max(len(cell) for cell in column) for column in zip(*cells, strict=True)]
    rows = ("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) for line in cells)
    return "".join(row.rstrip() + "\n" for row in rows)


def markdown_table(cells: Cells) -> str:
    """The same for Markdown, where a bar would end a cell."""
    safe = [[cell.replace("|", r"\|") for cell in line] for line in cells]
    ruled = [safe[0], ["---"] * len(safe[0]), *safe[1:]] if safe else []
    return "".join(f"| {' | '.join(line)} |\n" for line in ruled)


def csv_text(lines: Iterable[Iterable[object]]) -> str:
    """CSV of values."""
    made = io.StringIO()
    csv.writer(made, lineterminator="\n").writerows(lines)
    return made.getvalue()


def json_text(content: Any) -> str:
    """JSON of dataclasses, mappings and numbers; an undefined number (NaN) is null."""
    return json.dumps(_plain(content), indent=2, allow_nan=False) + "\n"


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
