"""Tars written again without the rest: of each tar the files of the keys that stay."""

from __future__ import annotations

import dataclasses
import json
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from shamisa_cli.errors import ShamisaError, UsageError
from shamisa_cli.files import MARK
from shamisa_cli.filtering.choice import Choice
from shamisa_cli.filtering.rows import FILE, Run, ScoredRows
from shamisa_cli.sharding.samples import split_name, tar_members
from shamisa_cli.sharding.storage import Folder, filesystem, naming
from shamisa_cli.spelling import escape_name

RECORD = "filter.json"
"""What the tars of a folder were chosen by; the same command goes on with it."""


@dataclass
class Resharded:
    """What was written.

    Attributes
    ----------
    tars, keys : written now.
    earlier : tars that an earlier run wrote.
    empty : tars of which nothing stays; they are not written.
    """

    tars: int = 0
    keys: int = 0
    earlier: int = 0
    empty: int = 0


def open_reshard(out: str, choice: Choice) -> Folder:
    """The folder for tars of ``choice``, new or begun by an earlier run of the same.

    Raises
    ------
    UsageError
        if rows are not of tars, or the folder holds anything else.
    """
    rows = choice.rows
    if (
        not isinstance(rows, ScoredRows)
        or len(rows.runs) != 1
        or len(rows.names) != len(rows.runs[0].parts)
    ):
        raise UsageError(f"{out}: tars are written again from one folder of score --out alone")
    run = rows.runs[0]
    if run.kind != "tar":
        raise UsageError(f"{out}: {run.source} has scores of {run.kind}, not of tars")
    folder = Folder(out)
    there, record = folder.names(), _record(choice, run)
    if RECORD in there:
        if folder.read(RECORD) != record:
            raise UsageError(
                f"{folder.address}: holds tars of another choice, see {RECORD}; choose another "
                "folder"
            )
    elif there:
        raise UsageError(f"{folder.address}: is not empty; choose another folder for the tars")
    else:
        folder.make()
        folder.write(RECORD, record)
    return folder


def reshard(choice: Choice, out: Folder, step: Callable[[], object]) -> Resharded:
    """Write the tars of ``choice`` into ``out``; each is there whole, or not at all.

    A key stays with all its files if one of its photos does. Tars that are there already stay as
    they are. Memory holds the keys of one tar.

    Raises
    ------
    ShamisaError
        if a tar cannot be read, or is not the one that was scored.
    """
    assert isinstance(choice.rows, ScoredRows)
    run, done = choice.rows.runs[0], Resharded()
    places = _places(run)
    for part, keys in _keys_by_part(choice):
        shard = run.parts[part]
        inner, _, name = places[shard.url].rpartition("/")
        folder = Folder(out.of(inner)) if inner else out
        if not keys:
            done.empty += 1
        elif folder.has(name):
            done.earlier += 1
        else:
            folder.make()
            with folder.writing(name) as path:
                _copy(shard.url, path, keys)
            done.tars += 1
            done.keys += len(keys)
        step()
    return done


def _copy(source: str, target: Path, keys: set[str]) -> None:
    """The files of ``keys`` from a tar to another, in their order."""
    fs, name = filesystem(source)
    found = set()
    with (
        naming(source, "written again"),
        fs.open(name, "rb") as file,
        tarfile.open(target, "w") as out,
    ):
        for archive, member in tar_members(file, 1 << 20):
            out.members = []  # type: ignore[attr-defined]  # all that it wrote
            key = escape_name(split_name(member.name)[0])
            if key in keys and not member.isdir():
                found.add(key)
                out.addfile(member, archive.extractfile(member) if member.isfile() else None)
    if len(found) < len(keys):
        lost = min(keys - found)
        raise ShamisaError(
            f"{source}: has no {lost!r}, nor {len(keys) - len(found) - 1} other keys that were "
            "scored: it is another tar than it was"
        )


def _keys_by_part(choice: Choice) -> Iterator[tuple[str, set[str]]]:
    """Each file of rows with the keys that stay; rows of a file come one after the other."""

    def batches() -> Iterator[tuple[str, list[str]]]:
        for batch, mask in choice.masks(["key", FILE]):
            if len(batch):
                keys = batch.column("key").take(np.flatnonzero(mask)).to_pylist()
                yield str(batch.column(FILE)[0].as_py()), keys

    for part, some in groupby(batches(), key=lambda each: each[0]):
        yield part, {key for _, keys in some for key in keys}


def _places(run: Run) -> Mapping[str, str]:
    """Where each tar goes below the new folder: as it lies below the folder that all have."""
    urls = [shard.url for shard in run.parts.values()]
    first = urls[0].split("/")
    depth = min(_alike(first, url.split("/")) for url in urls)
    return {url: "/".join(url.split("/")[depth:]) for url in urls}


def _alike(one: list[str], other: list[str]) -> int:
    """How many folders two addresses have in common."""
    most = min(len(one), len(other)) - 1
    return next((n for n in range(most) if one[n] != other[n]), most)


def _record(choice: Choice, run: Run) -> bytes:
    facts: dict[str, Any] = {
        "made_by": MARK,
        "scores": Folder(run.source).address,
        "parts": len(run.parts),
        "rows": choice.total,
        "criteria": dataclasses.asdict(choice.criteria),
        "bounds": choice.bounds,
        "cut": choice.cut and [choice.cut.score, choice.cut.at, choice.cut.staying],
    }
    return json.dumps(facts, indent=1, default=str).encode() + b"\n"
