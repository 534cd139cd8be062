"""Writing a part: rows to Parquet as they are made, in place once the shard is done."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shamisa_cli.files import MARK
from shamisa_cli.sharding.schema import FEATURES

if TYPE_CHECKING:
    import pyarrow as pa

    from shamisa_cli.sharding.storage import Folder

_ROWS = 10_000
_BYTES = 64 << 20
"""A row group has this many rows, or fewer where embeddings would take more bytes than that."""
_FACTS = "shamisa"


@dataclass(frozen=True)
class Counts:
    """What a part holds.

    Attributes
    ----------
    photos : its rows.
    failed : those without a score.
    """

    photos: int = 0
    failed: int = 0


def part_name(shard: str) -> str:
    """The file of the shard with that hash."""
    return f"part-{shard}.parquet"


@contextmanager
def writing_part(folder: Folder, shard: str, schema: pa.Schema) -> Iterator[PartWriter]:
    """Takes the rows of a shard; if that ends well, its part is in place.

    The same rows give the same bytes: nothing in them depends on time, place or machine.
    """
    with folder.writing(part_name(shard)) as path, PartWriter(path, schema) as writer:
        yield writer


class PartWriter:
    """Rows into a Parquet file. State: rows that wait for their row group, and counts.

    Parameters
    ----------
    path : of this machine.
    schema : see ``sharding.schema``.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        import pyarrow.parquet as pq

        self._schema = schema
        self._file = pq.ParquetWriter(path, schema, compression="zstd")
        self._waiting: list[Mapping[str, Any]] = []
        self._photos = self._failed = 0
        lists = [field.type.list_size for field in schema if field.name == FEATURES]
        self._at_once = min(_ROWS, max(100, _BYTES // (4 * lists[0]))) if lists else _ROWS

    @property
    def counts(self) -> Counts:
        """Of the rows so far."""
        return Counts(self._photos, self._failed)

    def add(self, row: Mapping[str, Any]) -> None:
        """Take a row, by the names of the schema."""
        self._photos += 1
        self._failed += row["score"] is None
        self._waiting.append(row)
        if len(self._waiting) >= self._at_once:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        if self._waiting:
            self._file.write_table(pa.Table.from_pylist(self._waiting, self._schema))
            self._waiting = []

    def __enter__(self) -> PartWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._flush()
            facts = {"made_by": MARK, "photos": self._photos, "failed": self._failed}
            self._file.add_key_value_metadata({_FACTS: json.dumps(facts)})
        self._file.close()


def read_counts(folder: Folder, name: str) -> Counts:
    """What the part ``name`` holds, by its last bytes."""
    import pyarrow.parquet as pq

    with folder.open(name) as file:
        facts = json.loads(pq.read_metadata(file).metadata[_FACTS.encode()])
    return Counts(facts["photos"], facts["failed"])
