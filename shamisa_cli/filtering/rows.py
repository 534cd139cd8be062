"""Scored rows of any length, read as batches, again and again: parts, Parquet, CSV, JSON lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from shamisa_cli.errors import ShamisaError, UsageError, first_line

if TYPE_CHECKING:
    import pyarrow as pa

    from shamisa_cli.sharding.manifest import Shard

Kind = Literal["parquet", "csv", "json"]

ENDINGS: dict[str, Kind] = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".jsonl": "json",
    ".ndjson": "json",
}

NEEDED = ("score", "status")

BATCH = 1 << 16
"""Rows at once."""

FILE = "__filename"
"""A column that the reader adds when it is asked for: the file that the row is in."""


@dataclass(frozen=True)
class Run:
    """A folder of parts.

    Attributes
    ----------
    source : as it was given.
    kind : of its inputs.
    shards : how many it has.
    parts : the shard of each file of rows; those of shards that are not done are missing.
    """

    source: str
    kind: str
    shards: int
    parts: Mapping[str, Shard]

    @property
    def missing(self) -> int:
        """How many shards are not done."""
        return self.shards - len(self.parts)


@dataclass(frozen=True)
class Files:
    """Files of one kind, on one file system."""

    names: tuple[str, ...]
    kind: Kind
    filesystem: Any
    schema: Any
    run: Run | None = None


class ScoredRows:
    """The rows of all ``files``, in their order; memory holds a few batches of them."""

    def __init__(self, files: Sequence[Files]) -> None:
        self._files = files
        self.schema: pa.Schema = files[0].schema
        for other in files[1:]:
            if not other.schema.equals(self.schema):
                raise UsageError(
                    f"{other.names[0]}: has other columns than {files[0].names[0]}: "
                    f"{_difference(other.schema, self.schema)}; filter them apart"
                )

    @property
    def runs(self) -> list[Run]:
        """The folders of parts among the sources."""
        return [each.run for each in self._files if each.run]

    @property
    def names(self) -> list[str]:
        """All files, in order."""
        return [name for each in self._files for name in each.names]

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """A pass over all rows, with some of their columns or all, and with :data:`FILE`.

        Raises
        ------
        ShamisaError
            if a file cannot be read; the message names it.
        """
        import pyarrow as pa

        for files in self._files:
            try:
                yield from _dataset(files).to_batches(
                    columns=list(columns) if columns is not None else self.schema.names,
                    batch_size=BATCH,
                    batch_readahead=2,
                    fragment_readahead=4,
                )
            except (pa.ArrowException, OSError) as error:
                named = (name for name in files.names if name in str(error))
                where = next(named, files.names[0])
                raise ShamisaError(_unreadable(where, files.kind, error)) from error


def open_rows(sources: Sequence[str]) -> ScoredRows:
    """The rows of ``sources``: folders of parts, and files of any kind of :data:`ENDINGS`.

    Each may be a path or a URL that fsspec knows, such as ``s3://bucket/scores/``.

    Raises
    ------
    UsageError
        if one is not there, is of another kind, or holds no scored rows.
    """
    found = [_files_of(source) for source in sources]
    names = [name for each in found for name in each.names]
    double = next((name for n, name in enumerate(names) if name in names[:n]), None)
    if double:
        raise UsageError(f"{double}: is given twice; its rows would count twice")
    return ScoredRows(found)


def _files_of(source: str) -> Files:
    from shamisa_cli.sharding.storage import filesystem, naming

    fs, path = filesystem(source)
    run = None
    with naming(source, "read"):
        names = [path]
        if fs.isdir(path):
            names, run = _in_folder(source, fs, path)
        elif not fs.exists(path):
            raise UsageError(f"{source}: there is no such file or folder")
    if not names:
        raise UsageError(f"{source}: holds no part yet; give a folder that score --out wrote to")
    ending = "." + names[0].rpartition("/")[2].rpartition(".")[2].lower()
    if ending not in ENDINGS:
        raise UsageError(
            f"{source}: its ending is none of {', '.join(ENDINGS)}; give the folder of score "
            "--out, or a file of score --csv or --jsonl"
        )
    kind = ENDINGS[ending]
    return Files(tuple(names), kind, fs, _schema(source, names[0], kind, fs), run)


def _in_folder(source: str, filesystem: Any, path: str) -> tuple[list[str], Run | None]:
    """The Parquet files of a folder; of a run the parts of its shards, in their order."""
    from shamisa_cli.sharding.manifest import MANIFEST, read_manifest
    from shamisa_cli.sharding.parts import part_name
    from shamisa_cli.sharding.storage import Folder

    names = sorted(str(name) for name in filesystem.ls(path, detail=False))
    files = {name.rstrip("/").rpartition("/")[2]: name for name in names}
    if MANIFEST not in files:
        return [name for last, name in files.items() if last.endswith(".parquet")], None
    folder = Folder(source)
    manifest = read_manifest(folder)
    assert manifest is not None
    shards = list(manifest.shards(folder))
    done = [shard for shard in shards if part_name(shard.id) in files]
    parts = {files[part_name(shard.id)]: shard for shard in done}
    return list(parts), Run(source, manifest.kind, len(shards), parts)


def _schema(source: str, name: str, kind: Kind, filesystem: Any) -> pa.Schema:
    """The columns of a file; those that are ours have our types, whatever its first rows hold."""
    import pyarrow as pa

    try:
        found = _dataset(Files((name,), kind, filesystem, None)).schema
    except (pa.ArrowException, OSError) as error:
        raise UsageError(_unreadable(name, kind, error)) from error
    missing = [column for column in NEEDED if column not in found.names]
    if missing or not {"key", "path"} & set(found.names):
        raise UsageError(
            f"{source}: has no column {(missing or ['path'])[0]!r}; its rows are not of shamisa "
            "score"
        )
    if len(set(found.names)) < len(found.names):
        raise UsageError(f"{source}: two of its columns have one name")
    if kind == "parquet":
        return found
    from shamisa_cli.sharding.schema import own_fields

    ours = {field.name: field for field in own_fields()}
    return pa.schema([ours.get(field.name, _loose(field)) for field in found])


def _unreadable(name: str, kind: Kind, error: Exception) -> str:
    """Why a file cannot be read, without what Arrow has around that, and what to do."""
    fix = {
        "parquet": "copy it again; of a run, remove this part and score again",
        "csv": "give it as score wrote it; score --resume mends one of a run that was killed",
    }
    reason = first_line(error).rpartition("Invalid: ")[2]
    return f"{name}: cannot be read ({reason}); {fix.get(kind, fix['csv'])}"


def _loose(field: pa.Field) -> pa.Field:
    """A column that somebody added: what its first rows hold may not be what others do."""
    import pyarrow as pa

    if pa.types.is_integer(field.type):
        return field.with_type(pa.float64())
    return field.with_type(pa.string()) if pa.types.is_null(field.type) else field


def _dataset(files: Files) -> Any:
    """Their reader; a ``filesystem`` of this machine is left to pyarrow's own, which is faster."""
    import pyarrow.csv
    import pyarrow.dataset

    from shamisa_cli.sharding.storage import is_local

    form: Any = {
        "parquet": lambda: pyarrow.dataset.ParquetFileFormat(),
        "csv": lambda: pyarrow.dataset.CsvFileFormat(
            parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True)
        ),
        "json": lambda: pyarrow.dataset.JsonFileFormat(),
    }[files.kind]()
    local = is_local(files.filesystem)
    return pyarrow.dataset.dataset(
        list(files.names),
        schema=files.schema,
        format=form,
        filesystem=None if local else files.filesystem,
    )


def _difference(one: pa.Schema, other: pa.Schema) -> str:
    """The first columns in which two schemas differ."""
    a, b = ({field.name: str(field.type) for field in schema} for schema in (one, other))
    names = [name for name in {**a, **b} if a.get(name) != b.get(name)]
    return ", ".join(names[:3]) or "in another order"
