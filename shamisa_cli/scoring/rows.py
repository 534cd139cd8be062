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
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Literal

from shamisa_cli.errors import ShamisaError, UsageError, system_reason
from shamisa_cli.scoring.score import COLUMNS, Score, best_first

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
        self.path = path
        self.kind: Kind = kind
        try:
            self._empty = self._replace(rows)
            self._file: BinaryIO = path.open("r+b", buffering=0)
        except OSError as error:
            raise UsageError(f"{path}: cannot be written: {system_reason(error)}") from error

    def write(self, row: Score) -> None:
        """Add one row; it is in the file then, or a ShamisaError says why. The rows before stay."""
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
        """Close the file; with ``rows``, these take the place of what is in it, all at once."""
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


class RowStream:
    """The same rows in a stream, such as standard output: each is handed on as it is made.

    Parameters
    ----------
    put : takes the next bytes.
    kind : ``csv``, ``json`` or ``jsonl``; a JSON array ends when the stream is closed.
    sort : hand on all rows when it is closed, best first.
    """

    def __init__(self, put: Callable[[bytes], object], kind: Kind, *, sort: bool) -> None:
        self._put = put
        self._kind: Kind = kind
        self._kept: list[Score] | None = [] if sort else None
        self._between = b""
        put(_START[kind].encode())

    def write(self, row: Score) -> None:
        """Hand on a row, or keep it for the end."""
        if self._kept is not None:
            self._kept.append(row)
        else:
            self._hand_on(row)

    def close(self, *, finished: bool) -> None:
        """Hand on what was kept, whether or not the run is ``finished``."""
        for row in best_first(self._kept or ()):
            self._hand_on(row)
        self._put(_END[self._kind].encode())

    def _hand_on(self, row: Score) -> None:
        self._put(self._between + _encode(row, self._kind))
        self._between = _BETWEEN[self._kind].encode()


def read_rows(path: Path, kind: Kind, *, to_replace: bool = False) -> list[Score]:
    """The whole rows of a file that :class:`RowFile` made; none if there is no such file.

    ``to_replace`` says that the file will be made anew: of JSON, fields that somebody added may go.

    Raises
    ------
    UsageError
        if the file is there and holds something else, or fields that somebody added.
    """
    if path.exists() and not path.is_file():  # a device or a folder must not be replaced
        raise UsageError(f"{path}: is no ordinary file; rows need one, so that a run can go on")
    try:
        content = path.read_bytes() if path.exists() else b""
        records = _records(content.decode("utf-8", "surrogateescape"), kind)
        rows = [Score.from_row(record) for record in records]
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {system_reason(error)}") from error
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        raise UsageError(
            f"{path}: exists, and is no {kind.upper()} file of shamisa score; "
            "choose another name, or remove it"
        ) from error
    added = {key for record in records for key in record if key not in COLUMNS}
    if added and (kind == "csv" or not to_replace):
        raise UsageError(
            f"{path}: has a field that shamisa score did not write, {min(added)!r}, and it would "
            "be lost; write to another file, or remove that file"
        )
    return rows


def earlier_rows(
    files: Sequence[tuple[Path, Kind]], model: str, head: str, asked: Iterable[str]
) -> list[Score]:
    """The rows that need not be made again: scored ones, and failed ones nobody asks for now.

    All files of a run hold the same rows, except that a killed run may have left the last ones out
    of some; the fullest file counts.

    Raises
    ------
    UsageError
        if a file was made with another model, head or protocol, or is no file of rows, or holds
        rows that the fullest does not.
    """
    found = {path: read_rows(path, kind) for path, kind in files}
    fullest = max(found, key=lambda path: len(found[path]))
    for path, rows in found.items():
        for row in rows:
            if (row.model, row.head) != (model, head):
                raise UsageError(
                    f"{path}: was made with model {row.model}, head {row.head}; now it is {model}, "
                    f"{head} (weights, head and options all count). Choose another file to write"
                )
        only_here = Counter(rows) - Counter(found[fullest])
        if only_here:
            raise UsageError(
                f"{path}: holds rows that {fullest} does not ({only_here.total()}, such as that of "
                f"{next(iter(only_here)).path}), and resuming would delete them, because all files "
                "get the same rows. Resume one of the two, and name another file for the other"
            )
    wanted = set(asked)
    return [row for row in found[fullest] if not row.failed or row.path not in wanted]


def remaining(paths: Iterable[str], rows: Iterable[Score]) -> list[str]:
    """``paths`` without those that have a row, each as often as it has one; order is kept."""
    done = Counter(row.path for row in rows)
    left = []
    for path in paths:
        if done[path] > 0:
            done[path] -= 1
        else:
            left.append(path)
    return left


def _records(text: str, kind: Kind) -> list[dict[str, Any]]:
    """The rows of ``text``; of CSV and JSON lines, those that are whole."""
    if _START[kind].startswith(text):
        return []
    if kind == "json":
        records = json.loads(text)
        if not isinstance(records, list):
            raise ValueError("no array")
        return records
    end = text.rfind("\n") + 1
    if kind == "jsonl":
        return [json.loads(line) for line in text[:end].split("\n") if line]
    while text.count('"', 0, end) % 2:  # a line break inside a quoted path
        end = text.rfind("\n", 0, end - 1) + 1
    header, *rows = csv.reader(io.StringIO(text[:end], newline=""))
    if tuple(header[: len(COLUMNS)]) != COLUMNS:
        raise ValueError("another header")
    return [dict(zip(header, row, strict=True)) for row in rows]


def _encode(row: Score, kind: Kind) -> bytes:
    values = row.to_row()
    if kind != "csv":
        return json.dumps(values).encode() + (b"\n" if kind == "jsonl" else b"")
    text = io.StringIO(newline="")
    csv.writer(text).writerow(values.values())  # with \n as its end it would not quote \r
    return text.getvalue().removesuffix("\r\n").encode("utf-8", "surrogateescape") + b"\n"


def _unwritable(path: Path, error: OSError) -> ShamisaError:
    reason = system_reason(error)
    return ShamisaError(f"{path}: cannot be written any more: {reason}. Finished rows are kept")
