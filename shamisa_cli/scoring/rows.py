"""Files of rows (CSV, JSON, JSON lines) that are whole after every row, and can be gone on with.

A row reaches the file in one write; a JSON file is closed again by that same write. A process that
is killed leaves every finished row; where the machine itself went down, a torn last row is dropped
when the file is read.
"""

from __future__ import annotations

import csv
import errno
import io
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from shamisa_cli.errors import ShamisaError, UsageError
from shamisa_cli.scoring.score import COLUMNS, AddedFieldError, Score

Kind = Literal["csv", "json", "jsonl"]


@dataclass(frozen=True)
class _Shape:
    """The bytes around the rows: before the first, between two, after the last."""

    start: bytes
    between: bytes
    end: bytes


_SHAPES: dict[Kind, _Shape] = {
    "csv": _Shape((",".join(COLUMNS) + "\n").encode(), b"", b""),
    "json": _Shape(b"[\n", b",\n", b"\n]\n"),
    "jsonl": _Shape(b"", b"", b""),
}


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
        self.kind = kind
        try:
            self._empty = self._replace(rows)
            self._file: BinaryIO = path.open("r+b", buffering=0)
        except OSError as error:
            raise UsageError(f"{path}: cannot be written: {error.strerror or error}") from error
        self._file.seek(0, os.SEEK_END)

    def write(self, row: Score) -> None:
        """Add one row; when this returns, it is in the file.

        Raises
        ------
        ShamisaError
            if the disk is full or gone.
        """
        shape = _SHAPES[self.kind]
        content = (b"" if self._empty else shape.between) + _encode(row, self.kind) + shape.end
        try:
            self._file.seek(-len(shape.end), os.SEEK_END)
            written = self._file.write(content)
        except OSError as error:
            raise _unwritable(self.path, error) from error
        if written != len(content):
            raise _unwritable(self.path, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
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
        shape = _SHAPES[self.kind]
        encoded = [_encode(row, self.kind) for row in rows]
        unfinished = self.path.with_name(f".{self.path.name}.{os.getpid()}.part")
        try:
            with unfinished.open("wb") as file:
                file.write(shape.start + shape.between.join(encoded) + shape.end)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(self.path)
        except OSError:
            with suppress(OSError):
                unfinished.unlink()
            raise
        return not encoded


def read_rows(path: Path, kind: Kind, *, to_replace: bool = False) -> list[Score]:
    """The whole rows of a file that :class:`RowFile` made; none if there is no such file.

    Parameters
    ----------
    path, kind : of the file.
    to_replace : the file will be made anew, so fields that somebody added may go.

    Raises
    ------
    UsageError
        if the file is there and is something else, for nobody's data is taken for rows; or if
        somebody added fields, which would be lost.
    """
    _check_ordinary(path)
    try:
        content = path.read_bytes() if path.exists() else b""
        records = list(_records(content, kind))
        return [_decode(record, kind, to_replace=to_replace) for record in records]
    except AddedFieldError as error:
        mend = "remove that file" if kind == "csv" else "leave --resume out to replace that file"
        raise UsageError(
            f"{path}: has a field that shamisa score did not write, {str(error)!r}, and it would "
            f"be lost; write to another file, or {mend}"
        ) from error
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        raise UsageError(
            f"{path}: exists, and is no {kind.upper()} file of shamisa score; "
            "choose another name, or remove it"
        ) from error


def _records(content: bytes, kind: Kind) -> Iterator[bytes]:
    """The rows of ``content`` that are whole, without what stands between them."""
    shape = _SHAPES[kind]
    if len(content) < len(shape.start) and shape.start.startswith(content):
        return
    if not content.startswith(shape.start):
        if kind == "csv" and content.startswith(shape.start.rstrip(b"\n") + b","):
            raise AddedFieldError(_added_column(content))
        raise ValueError("another start")
    pending = b""
    for line in content[len(shape.start) :].splitlines(keepends=True):
        pending += line
        if kind == "csv" and pending.count(b'"') % 2:
            continue  # a line break inside a quoted path
        if not pending.endswith(b"\n"):
            return
        record = pending.strip(b"\r\n")
        pending = b""
        if kind == "json":
            record = record.removesuffix(b",")
            if record == b"]":
                return
        if record:
            yield record


def _check_ordinary(path: Path) -> None:
    """A device must not be replaced by a file, nor a folder."""
    if path.exists() and not path.is_file():
        raise UsageError(f"{path}: is no ordinary file; rows need one, to be gone on with")


def _unwritable(path: Path, error: OSError) -> ShamisaError:
    return ShamisaError(
        f"{path}: cannot be written any more: {error.strerror or error}. "
        "Finished rows are kept: mend that, and go on with --resume"
    )


def _encode(row: Score, kind: Kind) -> bytes:
    values = row.to_row()
    if kind == "json":
        return json.dumps(values).encode()
    if kind == "jsonl":
        return json.dumps(values).encode() + b"\n"
    text = io.StringIO(newline="")
    csv.writer(text).writerow(values.values())
    return text.getvalue().removesuffix("\r\n").encode("utf-8", "surrogateescape") + b"\n"


def _added_column(content: bytes) -> str:
    """The first column of a CSV file that comes after ours."""
    header = content.splitlines()[0].decode("utf-8", "surrogateescape")
    return next(csv.reader([header]))[len(COLUMNS)]


def _decode(record: bytes, kind: Kind, *, to_replace: bool) -> Score:
    if kind != "csv":
        values = json.loads(record)
        if to_replace:
            values = {column: values[column] for column in COLUMNS}
        return Score.from_row(values)
    text = io.StringIO(record.decode("utf-8", "surrogateescape"), newline="")
    (fields,) = csv.reader(text)
    return Score.from_row(dict(zip(COLUMNS, fields, strict=True)))
