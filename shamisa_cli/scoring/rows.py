"""Files of rows (CSV, JSON, JSON lines) that are whole after every row, and can be resumed.

A row reaches the file in one write; a JSON array is closed again by that same write. A killed
process leaves every finished row. Of a CSV or JSON-lines file that a crash of the machine tore, the
last row is dropped when the file is read.
"""

from __future__ import annotations

import csv
import io
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from shamisa_cli.errors import ShamisaError, UsageError, system_reason
from shamisa_cli.files import ListFile
from shamisa_cli.scoring.records import PhotoRecord, RecordFile, record_photo
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
        around = (_START[kind].encode(), _BETWEEN[kind].encode(), _END[kind].encode())
        try:
            self._file = ListFile(path, around, self._encoded(rows))
        except OSError as error:
            raise UsageError(f"{path}: cannot be written: {system_reason(error)}") from error

    def write(self, row: Score) -> None:
        """Add one row; it is in the file then, or a ShamisaError says why. The rows before stay."""
        try:
            self._file.add(_encode(row, self.kind))
        except OSError as error:
            raise _unwritable(self.path, error) from error

    def close(self, rows: Iterable[Score] | None = None) -> None:
        """Close the file; with ``rows``, these take the place of what is in it, all at once."""
        try:
            self._file.close(None if rows is None else self._encoded(rows))
        except OSError as error:
            raise _unwritable(self.path, error) from error

    def _encoded(self, rows: Iterable[Score]) -> list[bytes]:
        return [_encode(row, self.kind) for row in rows]


class RowFiles:
    """Several files of the same rows, each with the records of its photos beside it.

    Parameters
    ----------
    files : paths and kinds.
    earlier : rows of an earlier run that stay.
    records : of their photos.
    content : record the digest of every photo too.
    sort : put the rows in order, best first, once all are there; a run that is stopped before has
        them in the order in which they were made.
    """

    def __init__(
        self,
        files: Sequence[tuple[Path, Kind]],
        earlier: Sequence[Score] = (),
        records: Mapping[str, PhotoRecord] | None = None,
        *,
        content: bool = False,
        sort: bool = False,
    ) -> None:
        self._outputs = [RowFile(path, kind, earlier) for path, kind in files]
        try:
            self._records = [RecordFile(path, records or {}) for path, _ in files]
        except OSError as error:
            raise _unwritable(files[0][0], error) from error
        self._content = content
        self._sort = sort
        self._kept = list(earlier)
        self._handed_out: deque[PhotoRecord | None] = deque()

    def watch(self, photos: Iterable[str]) -> Iterator[str]:
        """``photos``, each recorded when it is asked for, which is before it is read."""
        for photo in photos:
            self._handed_out.append(record_photo(photo, content=self._content))
            yield photo

    def write(self, row: Score) -> None:
        """Add a row to every file; rows come in the order of the photos that were handed out."""
        record = self._handed_out.popleft() if self._handed_out else None
        for output, records in zip(self._outputs, self._records, strict=True):
            try:
                if record is not None:
                    records.add(row.path, record)
            except OSError as error:
                raise _unwritable(output.path, error) from error
            output.write(row)
        if self._sort:
            self._kept.append(row)

    def pass_over(self) -> None:
        """Of the next photo that was handed out there is no row."""
        self._handed_out.popleft()

    def close(self, *, finished: bool) -> None:
        """Close the files, in order if that was asked for and the run is ``finished``."""
        rows = best_first(self._kept) if finished and self._sort else None
        for records in self._records:
            records.close()
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

    def watch(self, photos: Iterable[str]) -> Iterable[str]:
        """``photos``: of what is only handed on nothing is recorded."""
        return photos

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


def read_rows(
    path: Path, kind: Kind, advice: str = "choose another name, or move it away"
) -> list[Score]:
    """The whole rows of a file that :class:`RowFile` made; none if there is no such file.

    Where it is another file, the error has this ``advice``.

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
            f"{path}: exists, and is no {kind.upper()} file of this shamisa score; {advice}"
        ) from error
    added = {key for record in records for key in record if key not in COLUMNS}
    if added:
        raise UsageError(
            f"{path}: has a field that shamisa score did not write, {min(added)!r}, and it would "
            "be lost; write to another file, or remove that file"
        )
    return rows


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
