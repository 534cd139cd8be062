"""Tables of the releases: CSV, MATLAB and Excel files, with errors that name file and row."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat

from shamisa_cli.errors import UsageError, system_reason

HEADER_ROWS = 20
"""An Excel sheet's header is looked for among its first rows."""


def read_csv(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield (where, cells by column) of each row; every column of ``columns`` must be there.

    The file is UTF-8, with or without byte-order mark, comma-separated, with a header.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, skipinitialspace=True)
            header = [name.strip() for name in reader.fieldnames or []]
            require_columns(path, header, columns)
            reader.fieldnames = header
            for cells in reader:
                where = f"{path.name}, row {reader.line_num}"
                if None in cells or any(cells[name] is None for name in header):
                    raise UsageError(f"{path}: row {reader.line_num} has not {len(header)} cells")
                yield where, {name: cell.strip() for name, cell in cells.items()}
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {system_reason(error)}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: is not UTF-8 ({error}); save it as CSV UTF-8") from error
    except csv.Error as error:
        raise UsageError(f"{path}: cannot be read as a CSV file: {error}") from error


def require_columns(path: Path, header: Sequence[str], columns: Sequence[str]) -> None:
    """Refuse a table that lacks a column, or has one twice."""
    missing = [name for name in columns if name not in header]
    if missing:
        raise UsageError(
            f"{path}: no column {' or '.join(map(repr, missing))}; "
            f"it has: {', '.join(filter(None, header)) or 'none'}{_cause(header, missing)}"
        )
    double = sorted({name for name in header if header.count(name) > 1 and name in columns})
    if double:
        raise UsageError(f"{path}: column {double[0]!r} is there twice")


def _cause(header: Sequence[str], missing: Sequence[str]) -> str:
    """For people: why columns may be missing, if it shows."""
    if len(header) == 1 and (";" in header[0] or "\t" in header[0]):
        return "; save it with commas between the columns"
    folded = {name.casefold() for name in header}
    return "; write names in small letters" if folded.issuperset(missing) else ""


def to_number(cell: object, where: str, column: str) -> float:
    """The finite number in a cell."""
    try:
        number = float(str(cell))
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UsageError(f"{where}: {column} is {str(cell)!r}, not a finite number")
    return number


def read_mat(path: Path, key: str) -> NDArray[Any]:
    """A variable of a MATLAB 5 file, flattened."""
    try:
        variables = loadmat(path)
    except (OSError, ValueError, NotImplementedError) as error:
        raise UsageError(f"{path}: cannot be read as a MATLAB file: {error}") from error
    if key not in variables:
        known = ", ".join(name for name in variables if not name.startswith("__"))
        raise UsageError(f"{path}: no variable {key!r}; it has: {known or 'none'}")
    return np.asarray(variables[key]).ravel()


def read_mat_strings(path: Path, key: str) -> list[str]:
    """A cell array of strings of a MATLAB 5 file."""
    return [str(np.asarray(cell).ravel()[0]) for cell in read_mat(path, key)]


def read_xlsx(
    path: Path, columns: Sequence[str], sheet: str | None = None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (where, cells by column) of an Excel sheet (its first if not named).

    The header is the first row that has all of ``columns``; rows without any of them are skipped.
    """
    try:
        from openpyxl import load_workbook
    except ImportError as error:
        raise UsageError(
            f"{path}: reading Excel files needs openpyxl: pip install 'shamisa[datasets]'"
        ) from error
    try:
        book = load_workbook(path, read_only=True, data_only=True)
        table = book[sheet] if sheet else book.worksheets[0]
        rows = list(table.iter_rows(values_only=True))
        book.close()
    except Exception as error:  # openpyxl raises zip, XML, key and its own errors alike
        raise UsageError(f"{path}: cannot be read as an Excel file: {error}") from error
    headers = [i for i, row in enumerate(rows[:HEADER_ROWS]) if set(columns) <= set(row)]
    if not headers:
        raise UsageError(f"{path}: no row with the columns {', '.join(columns)}")
    at = {name: rows[headers[0]].index(name) for name in columns}
    for number, row in enumerate(rows[headers[0] + 1 :], start=headers[0] + 2):
        cells = {name: row[i] for name, i in at.items()}
        if any(cell is not None for cell in cells.values()):
            yield f"{path.name}, row {number}", cells
