"""Rows of ``shamisa score`` from a file of any of its kinds, to look at: fields may be missing."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shamisa_cli.errors import UsageError, first_line, system_reason
from shamisa_cli.scoring.score import COLUMNS, FAILED, Score

_NEEDED = ("path", "score", "status")


def read_report_rows(file: Path) -> list[Score]:
    """The rows in a CSV, JSON or JSON-lines file, whatever its ending.

    Of :data:`COLUMNS` only path, score and status are needed, and others are passed over: rows of
    earlier versions will do, and those that somebody added fields to. A torn last row of CSV or
    JSON lines, of a run that was killed, is left out.

    Raises
    ------
    UsageError
        if there are no such rows; the message says what is wrong, and with which row.
    """
    try:
        text = file.read_bytes().decode("utf-8-sig", "surrogateescape")
    except OSError as error:
        raise UsageError(f"{file}: cannot be read: {system_reason(error)}") from error
    try:
        records = _records(text)
    except (ValueError, csv.Error) as error:
        raise UsageError(
            f"{file}: no rows that can be read ({first_line(error)}); give the CSV, JSON or JSONL "
            "file of a shamisa score"
        ) from error
    if not records:
        raise UsageError(f"{file}: has no rows; give the CSV, JSON or JSONL file of shamisa score")
    return [_score(record, f"{file}: row {n}") for n, record in enumerate(records, 1)]


def _records(text: str) -> list[dict[str, Any]]:
    start = text.lstrip()[:1]
    if start == "{":
        return _json_lines(text)
    records = json.loads(text) if start == "[" else _table(text)
    if not all(isinstance(record, dict) for record in records):
        raise ValueError("its array holds something else than rows")
    return records


def _json_lines(text: str) -> list[dict[str, Any]]:
    lines = [line for line in text.split("\n") if line.strip()]
    records = []
    for n, line in enumerate(lines):
        try:
            record = json.loads(line)
        except ValueError:
            if n and n == len(lines) - 1 and not text.endswith("\n"):
                break  # torn
            raise
        if not isinstance(record, dict):
            raise ValueError(f"line {n + 1} is no row")
        records.append(record)
    return records


def _table(text: str) -> list[dict[str, Any]]:
    header, *rows = csv.reader(io.StringIO(text, newline="")) if text.strip() else [[]]
    missing = [column for column in _NEEDED if column not in header]
    if missing:
        raise ValueError(f"no column {missing[0]!r}")
    rows = [row for row in rows if row]
    if rows and len(rows[-1]) < len(header) and not text.endswith("\n"):
        del rows[-1]  # torn
    for n, row in enumerate(rows, 1):
        if len(row) != len(header):
            raise ValueError(f"row {n} has {len(row)} fields, the header {len(header)}")
    return [dict(zip(header, row, strict=True)) for row in rows]


def _score(record: Mapping[str, Any], where: str) -> Score:
    try:
        row = Score.from_row(
            dict.fromkeys(COLUMNS)
            | {name: record[name] for name in _NEEDED}
            | {name: record[name] for name in COLUMNS if name in record}
        )
        numbers = (row.score, row.uncertainty, row.better_than)
        if not all(number is None or math.isfinite(number) for number in numbers):
            raise ValueError("a number is not finite")
        if (row.score is None) != (row.status == FAILED):
            raise ValueError(f"its status is {row.status!r}, its score {row.score}")
    except (ValueError, TypeError, OverflowError) as error:
        raise UsageError(f"{where} cannot be read: {first_line(error)}") from error
    except KeyError as error:
        raise UsageError(f"{where} has no {error}: it is no row of shamisa score") from error
    return row
