"""Files of rows (CSV, JSON, JSON lines) that are whole after every row, and can be resumed.

A row reaches the file in one write; a JSON array is closed again by that same write. A killed
process leaves every finished row. Of a CSV or JSON-lines file that a crash of the machine tore, the
last row is dropped when the file is read.
"""

from __future__ import annotations

import csv
import errno
import io
import json
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Literal

from shamisa_cli.errors import ShamisaError, UsageError
from shamisa_cli.scoring.score import COLUMNS, AddedFieldError, Score, best_first

Kind = Literal["csv", "json", "jsonl"]

_START = {"csv": ",".join(COLUMNS) + "\n", "json": "[\n", "jsonl": ""}
_BETWEEN = {"csv": "", "json": ",\n", "jsonl": ""}
_END = {"csv": "", "json": "\n]\n", "jsonl": ""}


class RowFile:
    """An open file of rows.

    Parameters
    ----------
    path : made anew, with ``rows`` in it; it appears whole or not at all.
    kind : ``csv``, ``json`` or ``jsonl``.
    rows : what is already known.

    Raises
    ------
    UsageError
        if the file cannot be written.
    """

    def __init__(self, path: Path, kind: Kind, rows: Iterable[Score] = ()) -> None:
        _check_ordinary(path)
        self.path = path
        self.kind: Kind = kind
        try:
            self._empty = self._replace(rows)
            self._file: BinaryIO = path.open("r+b", buffering=0)
        except OSError as error:
            raise UsageError(f"{path}: cannot be written: {error.strerror or error}") from error

    def write(self, row: Score) -> None:
        """Add one row; when this returns, it is in the file.

        Raises
        ------
        ShamisaError
            if the disk is full or gone; the rows before stay.
        """
        end = _END[self.kind].encode()
        between = "" if self._empty else _BETWEEN[self.kind]
        content = between.encode() + _encode(row, self.kind) + end
        try:
            place = self._file.seek(-len(end), os.SEEK_END)
            if self._file.write(content) != len(content):
                self._file.truncate(place)
                self._file.seek(place)
                self._file.write(end)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise _unwritable(self.path, error) from error
        self._empty = False

    def close(self, rows: Iterable[Score] | None = None) -> None:
        """Close the file; with ``rows``, these take the place of what is in it, all at once.

        Raises
        ------
        ShamisaError
            if the disk is full or gone; what was in the file stays in it.
        """
        try:
            self._file.close()
            if rows is not None:
                self._replace(rows)
        except OSError as error:
            raise _unwritable(self.path, error) from error

    def _replace(self, rows: Iterable[Score]) -> bool:
        """Write ``rows`` in place of the file; returns whether there were none."""
        encoded = [_encode(row, self.kind) for row in rows]
        start, between, end = (part[self.kind].encode() for part in (_START, _BETWEEN, _END))
        unfinished = self.path.with_name(f".{self.path.name}.{os.getpid()}.part")
        try:
            with unfinished.open("wb") as file:
                file.write(start + between.join(encoded) + end)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(self.path)
        except OSError:
            with suppress(OSError):
                unfinished.unlink()
            raise
        return not encoded


class RowFiles:
    """Several files of the same rows.

    Parameters
    ----------
    files : paths and kinds.
    earlier : rows of an earlier run that stay.
    sort : put the rows in order, best first, once all are there; a run that is stopped before has
        them in the order in which they were made.
    """

    def __init__(
        self, files: Iterable[tuple[Path, Kind]], earlier: Sequence[Score], *, sort: bool
    ) -> None:
        self._outputs = [RowFile(path, kind, earlier) for path, kind in files]
        self._sort = sort
        self._kept = list(earlier)

    def write(self, row: Score) -> None:
        """Add a row to every file."""
        for output in self._outputs:
            output.write(row)
        if self._sort:
            self._kept.append(row)

    def close(self, *, finished: bool) -> None:
        """Close the files, in order if that was asked for and the run is ``finished``."""
        rows = best_first(self._kept) if finished and self._sort else None
        for output in self._outputs:
            output.close(rows)


def read_rows(path: Path, kind: Kind, *, to_replace: bool = False) -> list[Score]:
    """The whole rows of a file that :class:`RowFile` made; none if there is no such file.

    Parameters
    ----------
    path, kind : of the file.
    to_replace : the file will be made anew, so fields that somebody added may go.

    Raises
    ------
    UsageError
        if the file is there and holds something else, or fields that somebody added.
    """
    _check_ordinary(path)
    try:
        content = path.read_bytes() if path.exists() else b""
        records = _records(content.decode("utf-8", "surrogateescape"), kind)
        if to_replace:
            records = [{column: record[column] for column in COLUMNS} for record in records]
        return [Score.from_row(record) for record in records]
    except AddedFieldError as error:
        raise UsageError(
            f"{path}: has a field that shamisa score did not write, {str(error)!r}, and it would "
            "be lost; write to another file, or remove that file"
        ) from error
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        raise UsageError(
            f"{path}: exists, and is no {kind.upper()} file of shamisa score; "
            "choose another name, or remove it"
        ) from error


def _records(text: str, kind: Kind) -> list[dict[str, Any]]:
    """The rows of ``text``; of CSV and JSON lines, those that are whole."""
    if _START[kind].startswith(text):
        return []
    if kind == "json":
        return json.loads(text)
    end = text.rfind("\n") + 1
    if kind == "jsonl":
        return [json.loads(line) for line in text[:end].split("\n") if line]
    while text.count('"', 0, end) % 2:  # a line break inside a quoted path
        end = text.rfind("\n", 0, end - 1) + 1
    header, *rows = csv.reader(io.StringIO(text[:end], newline=""))
    if tuple(header[: len(COLUMNS)]) != COLUMNS:
        raise ValueError("another header")
    if len(header) > len(COLUMNS):
        raise AddedFieldError(header[len(COLUMNS)])
    return [dict(zip(COLUMNS, row, strict=True)) for row in rows]


def _encode(row: Score, kind: Kind) -> bytes:
    values = row.to_row()
    if kind != "csv":
        return json.dumps(values).encode() + (b"\n" if kind == "jsonl" else b"")
    text = io.StringIO(newline="")
    csv.writer(text).writerow(values.values())  # with \n as its end it would not quote \r
    return text.getvalue().removesuffix("\r\n").encode("utf-8", "surrogateescape") + b"\n"


def _check_ordinary(path: Path) -> None:
    """A device must not be replaced by a file, nor a folder."""
    if path.exists() and not path.is_file():
        raise UsageError(f"{path}: is no ordinary file; rows need one, so that a run can go on")


def _unwritable(path: Path, error: OSError) -> ShamisaError:
    return ShamisaError(
        f"{path}: cannot be written any more: {error.strerror or error}. Finished rows are kept"
    )
