"""The list of a run's photos, where its input is folders of them: made once, cut into shards."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from shamisa_cli.errors import PhotoError, UsageError, first_line
from shamisa_cli.files import FOLDER_MARK
from shamisa_cli.imaging.ahead import map_ahead
from shamisa_cli.sharding.inputs import Inputs, is_photo, version_of
from shamisa_cli.sharding.samples import Sample
from shamisa_cli.sharding.storage import Folder, filesystem, is_local, naming
from shamisa_cli.spelling import escape_name, unescape_name

_COLUMNS = ("key", "path", "url", "version")
_READ_AHEAD = 8
"""Files far away that are read at a time."""


@dataclass(frozen=True)
class Listing:
    """A list of photos.

    Attributes
    ----------
    file : its name in the folder of parts; its row groups are the shards.
    photos : how many there are.
    digest : SHA-256 (hexadecimal) of keys, addresses, sizes and versions.
    """

    file: str
    photos: int
    digest: str


def write_listing(folder: Folder, inputs: Inputs, shard_size: int) -> Listing:
    """List the photos of ``inputs`` into ``folder``, ``shard_size`` a row group.

    Raises
    ------
    UsageError
        if there are none.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(name, pa.string()) for name in _COLUMNS])
    digest, count = hashlib.sha256(), 0
    with folder.writing_named_later() as part:
        with pq.ParquetWriter(part.path, schema, compression="zstd") as writer:
            for rows in _batches(_photos(inputs), shard_size):
                writer.write_table(pa.Table.from_pylist(rows, schema), row_group_size=shard_size)
                digest.update(repr([tuple(row.values()) for row in rows]).encode())
                count += len(rows)
        if not count:
            raise UsageError(_nothing_in(inputs))
        part.name = f"listing-{digest.hexdigest()[:16]}.parquet"
    return Listing(part.name, count, digest.hexdigest())


def listed_samples(file: Any, shard: int) -> Iterator[Sample]:
    """The photos of a shard, in order; those that are far away are read ahead.

    A photo that is gone, or may not be read, has the error in its place. Other trouble with far
    storage is raised: the shard can be tried again.
    """
    import pyarrow.parquet as pq

    rows = pq.ParquetFile(file).read_row_group(shard).to_pylist()
    if not rows:
        return
    fs, _ = filesystem(rows[0]["url"])
    near = is_local(fs)
    for row, content in map_ahead(_read, rows, 0 if near else _READ_AHEAD):
        if isinstance(content, Exception):
            missing = isinstance(content, (FileNotFoundError, PermissionError))
            if not (missing or (near and isinstance(content, OSError))):
                raise content
            content = PhotoError(f"{row['path']}: {_reason(content)}")
        yield Sample(row["key"], row["path"], content)


def _read(row: dict[str, str]) -> bytes:
    fs, name = filesystem(unescape_name(row["url"]))
    return fs.cat_file(name)


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, PermissionError):
        return "may not be read; check its permissions"
    return first_line(error)


def _batches(rows: Iterator[dict[str, str]], size: int) -> Iterator[list[dict[str, str]]]:
    some: list[dict[str, str]] = []
    for row in rows:
        some.append(row)
        if len(some) == size:
            yield some
            some = []
    if some:
        yield some


def _photos(inputs: Inputs) -> Iterator[dict[str, str]]:
    for file in inputs.files:
        yield _row(file.path, file.path, file.url, f"{file.size} {file.version}")
    for given, url in inputs.folders:
        fs, root = filesystem(url)
        root = root.rstrip("/")
        with naming(given, "listed"):
            fs.invalidate_cache()
            for info in _walk(fs, root):
                key = info["name"][len(root) + 1 :]
                address = info["name"] if is_local(fs) else fs.unstrip_protocol(info["name"])
                version = f"{info['size']} {version_of(info)}"
                yield _row(key, f"{given.rstrip('/')}/{key}", address, version)


def _row(key: str, path: str, url: str, version: str) -> dict[str, str]:
    values = (escape_name(key), escape_name(path), escape_name(url), version)
    return dict(zip(_COLUMNS, values, strict=True))


def _walk(fs: Any, folder: str) -> Iterator[dict[str, Any]]:
    """What storage says of each photo below ``folder``, by name, folder by folder.

    Hidden files and folders are left out, links to folders, and pictures that belong to a page.
    """
    entries = sorted(fs.ls(folder, detail=True), key=lambda entry: entry["name"])
    named = [(entry["name"].rstrip("/").rpartition("/")[2], entry) for entry in entries]
    if any(name == FOLDER_MARK for name, _ in named):
        return
    for name, entry in named:
        if name.startswith(".") or entry["name"].rstrip("/") == folder:
            continue
        if entry["type"] == "directory":
            if not entry.get("islink"):
                yield from _walk(fs, entry["name"].rstrip("/"))
        elif is_photo(name):
            yield entry


def _nothing_in(inputs: Inputs) -> str:
    """That there are no photos, and what there is instead."""
    given, url = inputs.folders[0]
    fs, root = filesystem(url)
    names = [str(name) for name in fs.ls(root, detail=False)]
    for ending in (".tar", ".parquet"):
        count = sum(name.endswith(ending) for name in names)
        if count:
            what = f"it has {count} {ending} files: give '{given.rstrip('/')}/*{ending}'"
            return f"{given}: no photos in this folder; {what}"
    return f"{given}: no photos in this folder"
