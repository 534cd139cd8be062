"""The table in its four forms."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from shamisa_cli.evaluation.evaluate import Summary
from shamisa_cli.evaluation.report import (
    ReportRow,
    csv_table,
    json_text,
    markdown_table,
    row_cells,
    text_table,
    with_averages,
)


def _row(dataset: str, srcc: float, model: str = "fast", fitted_on: str = "") -> ReportRow:
    measures = {"srcc": Summary(srcc, 0.02, srcc - 0.1, srcc + 0.1), "rmse": Summary(9, 1, 8, 10)}
    return ReportRow(model, dataset, fitted_on or dataset, 100, 10, 0.5, measures)


def test_averages_are_of_one_model_fitted_in_one_way() -> None:
    rows = [_row("clive", 0.6), _row("koniq", 0.8), _row("clive", 0.3, "random")]
    rows += [_row("koniq", 0.5, fitted_on="clive")]
    made = with_averages(rows)
    assert made[:4] == rows
    assert len(made) == 5
    assert made[4].tested_on == "average of 2"
    assert made[4].measures["srcc"].median == pytest.approx(0.7)
    assert "rmse" not in made[4].measures


def test_text_columns_stand_under_their_titles() -> None:
    lines = text_table(
        row_cells(with_averages([_row("clive", 0.6), _row("kadid10k", 0.8)]))
    ).splitlines()
    at = lines[0].index("SRCC")
    assert [line[at : at + 5] for line in lines[1:]] == ["0.600", "0.800", "0.700"]
    assert "±0.020" in lines[1]
    assert "nan" not in "\n".join(lines)
    lines = markdown_table(row_cells([_row("clive", 0.6)])).splitlines()
    assert len({line.count("|") for line in lines}) == 1
    assert set(lines[1]) <= set("|- ")


def test_csv_and_json_hold_undefined_numbers() -> None:
    row = _row("clive", math.nan)
    assert json.loads(json_text([row]))[0]["measures"]["srcc"]["median"] is None
    assert csv_table([row]).splitlines()[1].startswith("fast,clive,clive,100,10,0.5,,srcc,nan")


def test_images_that_are_left_out_are_named_and_change_no_average() -> None:
    rows = [_row("clive", 0.6), replace(_row("koniq", 0.8), left_out=2)]
    lines = text_table(row_cells(with_averages(rows))).splitlines()
    assert not lines[1].endswith("left out")
    assert lines[2].endswith("2 unreadable left out")
    assert lines[3].startswith("fast   average of 2")
    assert ",2 unreadable left out,srcc," in csv_table(rows)
