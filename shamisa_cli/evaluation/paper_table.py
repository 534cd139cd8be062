"""The table of papers: a line for each model and fit, a column for each dataset, an average."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from shamisa_cli.evaluation.report import ReportRow, aligned, markdown

SHOWN = ("srcc", "plcc")
"""The measures of a cell: medians over the splits, or of one fit on all."""


@dataclass(frozen=True)
class PaperLine:
    """One model, fitted in one way.

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


def paper_text(lines: Sequence[PaperLine]) -> str:
    """For the terminal; "" for a single dataset, of which there is nothing more to say."""
    cells = _cells(lines)
    return aligned(cells) if cells else ""


def paper_markdown(lines: Sequence[PaperLine]) -> str:
    """The same as a Markdown table."""
    cells = _cells(lines)
    return markdown(cells) if cells else ""


def _cells(lines: Sequence[PaperLine]) -> list[list[str]]:
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
