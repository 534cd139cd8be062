"""Rows that stay, written in one pass: Parquet, CSV, a list of keys, DataComp's subset file."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from shamisa_cli.errors import UsageError
from shamisa_cli.files import MARK, replacing, writing
from shamisa_cli.filtering.choice import Choice, Mask
from shamisa_cli.filtering.uids import UID, UidSorter, uids_of, write_npy
from shamisa_cli.spelling import unescape_name

if TYPE_CHECKING:
    import pyarrow as pa

GROUP_ROWS, GROUP_BYTES = 1 << 17, 1 << 26
"""A row group of Parquet is written once it has as many rows, or is as large in memory."""


class Output(Protocol):
    """A file in the making: takes rows, then says what it has become."""

    def add(self, batch: pa.RecordBatch, mask: Mask) -> None:
        """Rows, and which of them stay."""
        ...

    def finish(self) -> str:
        """The rest; what is in the file, for people."""
        ...


@dataclass(frozen=True)
class Targets:
    """The files to write; None for those that are not asked for."""

    parquet: Path | None = None
    csv: Path | None = None
    keys: Path | None = None
    npy: Path | None = None

    @property
    def paths(self) -> list[Path]:
        """Those that are asked for."""
        return [each for each in (self.parquet, self.csv, self.keys, self.npy) if each]


def write_rows(choice: Choice, targets: Targets) -> tuple[int, list[str]]:
    """Write the rows that stay, in one pass; each file is there whole at the end, or not at all.

    Returns
    -------
    stayed : the number of rows.
    told : of each file, what is in it.

    Raises
    ------
    UsageError, ShamisaError
        if rows cannot be what a file needs, or a file cannot be written.
    """
    columns = _columns(choice.rows.schema, targets)
    stayed = 0
    with ExitStack() as stack:
        outputs = [
            (path, stack.enter_context(_OPEN[name](path, choice.rows.schema)))
            for name in _OPEN
            if (path := getattr(targets, name))
        ]
        for batch, mask in choice.masks(columns):
            stayed += int(mask.sum())
            for path, output in outputs:
                with writing(path):
                    output.add(batch, mask)
        told = []
        for path, output in outputs:
            with writing(path):
                told.append(f"{path}: {output.finish()}")
    return stayed, told


def key_column(schema: pa.Schema) -> str:
    """The column of names for a list: ``key``, or ``path`` of rows without one."""
    return "key" if "key" in schema.names else "path"


def _columns(schema: pa.Schema, targets: Targets) -> list[str] | None:
    """The columns that ``targets`` need; None for all."""
    if targets.parquet or targets.csv:
        return None
    keys = [key_column(schema)] if targets.keys else []
    return [*keys, "uid"] if targets.npy else keys


class _Parquet:
    def __init__(self, writer: Any) -> None:
        self._writer = writer
        self._waiting: list[pa.RecordBatch] = []
        self._rows = self._bytes = self._written = 0

    def add(self, batch: pa.RecordBatch, mask: Mask) -> None:
        kept = _kept(batch, mask)
        self._waiting.append(kept)
        self._rows += len(kept)
        self._bytes += kept.nbytes
        if self._rows >= GROUP_ROWS or self._bytes >= GROUP_BYTES:
            self._write()

    def finish(self) -> str:
        self._write()
        self._writer.close()
        return f"{self._written} rows"

    def _write(self) -> None:
        import pyarrow as pa

        if self._rows:
            self._writer.write_table(pa.Table.from_batches(self._waiting).combine_chunks())
        self._written += self._rows
        self._waiting, self._rows, self._bytes = [], 0, 0


@contextmanager
def _open_parquet(path: Path, schema: pa.Schema) -> Iterator[Output]:
    import pyarrow.parquet

    marked = schema.with_metadata({**(schema.metadata or {}), "made by": MARK})
    with (
        writing(path),
        replacing(path) as part,
        pyarrow.parquet.ParquetWriter(part, marked, compression="zstd") as writer,
    ):
        yield _Parquet(writer)


class _Csv:
    def __init__(self, file: Any, columns: Sequence[str], left_out: Sequence[str]) -> None:
        self._file = file
        self._columns = list(columns)
        self._left_out = left_out
        self._rows = 0

    def add(self, batch: pa.RecordBatch, mask: Mask) -> None:
        import pyarrow.csv

        kept = _kept(batch.select(self._columns), mask)
        options = pyarrow.csv.WriteOptions(include_header=False, quoting_style="needed")
        pyarrow.csv.write_csv(kept, self._file, options)
        self._rows += len(kept)

    def finish(self) -> str:
        without = f", without {', '.join(self._left_out)}" if self._left_out else ""
        return f"{self._rows} rows{without}"


@contextmanager
def _open_csv(path: Path, schema: pa.Schema) -> Iterator[Output]:
    import pyarrow as pa

    def is_text(kind: pa.DataType) -> bool:
        binary = pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
        return not (binary or pa.types.is_nested(kind) or pa.types.is_fixed_size_binary(kind))

    plain = [field.name for field in schema if is_text(field.type)]
    with writing(path), replacing(path) as part:
        with part.open("w", newline="", encoding="utf-8") as header:
            csv.writer(header, lineterminator="\n").writerow(plain)
        with part.open("ab") as file:
            yield _Csv(file, plain, [name for name in schema.names if name not in plain])


def _name_bytes(path: str) -> bytes:
    """The bytes of a photo's name that a row has as ``path``: a list is for other programs."""
    try:
        return unescape_name(path).encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half of a surrogate pair: no name here
        return path.encode()


class _Keys:
    """A line a key. State: digests of the keys of all rows, and of those that do not stay."""

    def __init__(self, path: Path, file: Any, column: str, all_: UidSorter, out: UidSorter) -> None:
        self._path, self._file, self._column = path, file, column
        self._all, self._out = all_, out
        self._rows = 0

    def add(self, batch: pa.RecordBatch, mask: Mask) -> None:
        keys = batch.column(self._column).to_pylist()
        digests = _digests(keys)
        self._all.add(digests)
        self._out.add(digests[~mask])
        kept = [keys[place] for place in np.flatnonzero(mask)]
        for key in kept:
            if not key or "\n" in key or "\r" in key:
                raise UsageError(
                    f"{self._path}: {self._column} {key!r} cannot be a line; write Parquet or CSV"
                )
        encode = _name_bytes if self._column == "path" else str.encode
        self._file.write(b"".join(encode(key) + b"\n" for key in kept))
        self._rows += len(kept)

    def finish(self) -> str:
        double = self._all.repeats() - self._out.repeats()
        if double:
            raise UsageError(
                f"{self._path}: rows that stay share their {self._column} with others, {double} "
                f"time{'s' if double > 1 else ''}, and a list cannot tell them apart; write "
                "Parquet or CSV"
            )
        return f"{self._rows} {self._column}s"


@contextmanager
def _open_keys(path: Path, schema: pa.Schema) -> Iterator[Output]:
    with writing(path), replacing(path) as part, part.open("wb") as file, ExitStack() as stack:
        sorters = (UidSorter(stack.enter_context(_scratch(path))) for _ in range(2))
        yield _Keys(path, file, key_column(schema), *sorters)


class _Npy:
    def __init__(self, file: Any, uids: UidSorter) -> None:
        self._file, self._uids = file, uids

    def add(self, batch: pa.RecordBatch, mask: Mask) -> None:
        self._uids.add(uids_of(_kept(batch.select(["uid"]), mask).column(0)))

    def finish(self) -> str:
        written = write_npy(self._file, self._uids)
        again = self._uids.total - written
        return f"{written} uids" + (f"; {again} rows had one of another row" if again else "")


@contextmanager
def _open_npy(path: Path, schema: pa.Schema) -> Iterator[Output]:
    if "uid" not in schema.names:
        raise UsageError("a subset file needs the column uid, DataComp's; these rows have none")
    with writing(path), replacing(path) as part, part.open("w+b") as file, _scratch(path) as runs:
        yield _Npy(file, UidSorter(runs))


_OPEN: dict[str, Any] = {
    "parquet": _open_parquet,
    "csv": _open_csv,
    "keys": _open_keys,
    "npy": _open_npy,
}


def _scratch(path: Path) -> Any:
    """A file without a name beside ``path``, where there is room if there is for ``path``."""
    return tempfile.TemporaryFile(dir=path.resolve().parent)


def _kept(batch: pa.RecordBatch, mask: Mask) -> pa.RecordBatch:
    import pyarrow as pa

    return batch.filter(pa.array(mask))


def _digests(keys: Sequence[str | None]) -> Any:
    """128 bits of each key."""
    joined = b"".join(blake2b((key or "").encode(), digest_size=16).digest() for key in keys)
    return np.frombuffer(joined, UID)
