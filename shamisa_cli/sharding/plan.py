"""From what a person asks for to the manifest of a run, new or begun earlier."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

from shamisa_cli.errors import ShamisaError, UsageError, unknown_name
from shamisa_cli.scoring import Scorer
from shamisa_cli.settings import to_mapping
from shamisa_cli.sharding.inputs import Input, Inputs, find_inputs
from shamisa_cli.sharding.kept import Kept, kept_of_samples, kept_of_table, nothing_kept
from shamisa_cli.sharding.listing import write_listing
from shamisa_cli.sharding.manifest import MANIFEST, Manifest, check_same_run, read_manifest
from shamisa_cli.sharding.samples import tar_samples
from shamisa_cli.sharding.storage import Folder, filesystem, naming

SHARD_SIZE = 10_000
_PEEK = 100
"""Samples of the first tar whose JSON says which columns there are."""


@dataclass(frozen=True)
class Asked:
    """What a run is to be, beside its inputs and its model.

    Attributes
    ----------
    image_column : of Parquet files; None is ``image``.
    keep : columns of the input that parts have too; None is all small ones.
    embeddings : whether parts have features.
    shard_size : photos of a folder a shard; None is :data:`SHARD_SIZE`.
    """

    image_column: str | None = None
    keep: tuple[str, ...] | None = None
    embeddings: bool = False
    shard_size: int | None = None


class Scoring(NamedTuple):
    """The first attributes of a :class:`Manifest`."""

    model: str
    head: str
    protocol: Mapping[str, Any]
    options: Mapping[str, Any]


def open_run(
    folder: Folder, paths: Sequence[str], scorer: Scorer, asked: Asked, loading: Mapping[str, Any]
) -> Manifest:
    """The manifest in ``folder``: written now, or of the run that this one goes on with.

    Parameters
    ----------
    paths : the input, see :func:`find_inputs`.
    scorer : decides the scores.
    loading : keywords of ``scoring.load``.

    Raises
    ------
    UsageError
        if the folder holds another run, or parts without a manifest; or for wrong inputs.
    """
    inputs = find_inputs(paths)
    _check_fits(inputs, asked)
    options = {
        "precision": loading.get("precision", "auto"),
        "max_pixels": scorer.max_pixels,
        "embeddings": asked.embeddings,
        "image_column": asked.image_column,
        "keep": None if asked.keep is None else list(asked.keep),
        "shard_size": asked.shard_size or SHARD_SIZE,
    }
    folder.make()
    protocol = to_mapping(scorer.extractor.protocol)
    scoring = Scoring(scorer.model, scorer.head.info.name, protocol, options)
    then = read_manifest(folder)
    if then is None:
        _check_empty(folder)
        manifest = _new(folder, inputs, asked, scoring)
        if folder.write_new(MANIFEST, manifest.to_json()):
            return manifest
        then = read_manifest(folder)  # another run was first
    if then is None:
        raise ShamisaError(f"{folder.of(MANIFEST)}: cannot be read back")
    check_same_run(then, *scoring, inputs, folder.address)
    return then


def _new(folder: Folder, inputs: Inputs, asked: Asked, scoring: Scoring) -> Manifest:
    column, listing = None, None
    if inputs.kind == "parquet":
        column, kept = _of_table(inputs.files[0], asked)
    elif inputs.kind == "tar":
        kept = kept_of_samples(_peeked(inputs.files), asked.keep)
    else:
        kept = nothing_kept()
        listing = write_listing(folder, inputs, asked.shard_size or SHARD_SIZE)
    files, folders = inputs.files, inputs.folders
    return Manifest(*scoring, inputs.kind, files, folders, listing, column, kept)


def _check_fits(inputs: Inputs, asked: Asked) -> None:
    """Refuse options that this kind of input does not have."""
    if asked.image_column is not None and inputs.kind != "parquet":
        raise UsageError(f"image_column is for Parquet files; these inputs are {inputs.kind}")
    if asked.shard_size is not None and inputs.kind != "photos":
        raise UsageError("shard_size is for folders of photos; each tar or Parquet file is a shard")
    if asked.keep and inputs.kind == "photos":
        raise UsageError("photos have no columns to keep; tars and Parquet files have")


def _check_empty(folder: Folder) -> None:
    parts = [name for name in folder.names() if name.startswith("part-")]
    if parts:
        raise UsageError(
            f"{folder.address}: holds {len(parts)} parts and no {MANIFEST} that says of what; "
            "choose another folder"
        )


def _of_table(first: Input, asked: Asked) -> tuple[str, Kept]:
    """The column of images, and what is kept, by the schema of the first file."""
    import pyarrow.parquet as pq

    fs, name = filesystem(first.url)
    with naming(first.path, "read as Parquet"), fs.open(name, "rb") as file:
        table = pq.ParquetFile(file)
        schema, metadata = table.schema_arrow, table.metadata
    column = asked.image_column or "image"
    if column not in schema.names:
        hint = "Name the one of the images with image_column."
        raise unknown_name("column", column, schema.names, f"In {first.path}. {hint}")
    sizes: dict[str, float] = {}
    for group in range(metadata.num_row_groups):
        for number in range(metadata.num_columns):
            chunk = metadata.row_group(group).column(number)
            leaf = chunk.path_in_schema.partition(".")[0]
            share = chunk.total_uncompressed_size / max(1, metadata.num_rows)
            sizes[leaf] = sizes.get(leaf, 0.0) + share
    others = schema.remove(schema.get_field_index(column))
    return column, kept_of_table(others, sizes, asked.keep)


def _peeked(files: Sequence[Input]) -> Iterator[Mapping[str, Any]]:
    """What is beside the first images; where a tar cannot be read, beside those of the next."""
    for file in files[:3]:
        fs, name = filesystem(file.url)
        try:
            with fs.open(name, "rb") as content:
                yield from (each.beside for each in islice(tar_samples(content, ""), _PEEK))
            return
        except Exception:  # its shard will say what is wrong
            continue
