"""The inputs of a run: tars, Parquet files, photos and folders of photos, near and far."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from shamisa_cli.errors import UsageError
from shamisa_cli.imaging.formats import EXTENSIONS
from shamisa_cli.imaging.raw import RAW_EXTENSIONS, raw_installed
from shamisa_cli.sharding.storage import filesystem, is_local, naming, protocol_of

Kind = Literal["tar", "parquet", "photos"]

_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
_MOST = 10_000_000
"""Names that a range may stand for."""
_VERSIONS = ("ETag", "etag", "blob_id", "md5Hash", "Content-MD5", "mtime", "Last-Modified",
             "LastModified", "last_modified", "updated")  # fmt: skip
"""What kinds of storage call that which changes with a file's content, best first."""


@dataclass(frozen=True)
class Input:
    """A file of the input.

    Attributes
    ----------
    path : as it was given.
    url : as every machine understands it.
    size : bytes.
    version : its entity tag, or the time when it was last changed.
    """

    path: str
    url: str
    size: int
    version: str


@dataclass(frozen=True)
class Inputs:
    """What a run reads: files of samples, or photos and folders of them."""

    kind: Kind
    files: Sequence[Input]
    folders: Sequence[tuple[str, str]] = field(default=())
    """As they were given, and as every machine understands them."""


def find_inputs(paths: Iterable[str]) -> Inputs:
    """What ``paths`` mean: ``{00000..41407}`` stands for its names, wildcards for what they match.

    Raises
    ------
    UsageError
        if something is not there, or they are of more than one kind; the message says which.
    """
    asked = list(dict.fromkeys(chain.from_iterable(map(_matching, paths))))
    by_kind: dict[str, list[str]] = {"tar": [], "parquet": [], "photo": [], "folder": []}
    for path in asked:
        by_kind[_kind_of(path)].append(path)
    if not asked:
        raise UsageError("no inputs given: tars, Parquet files, or folders of photos")
    photos = [*by_kind["photo"], *by_kind["folder"]]
    kinds = {"tars": by_kind["tar"], "Parquet files": by_kind["parquet"], "photos": photos}
    given = {name: some for name, some in kinds.items() if some}
    if len(given) > 1:
        found = ", ".join(f"{len(some)} {name} ({some[0]})" for name, some in given.items())
        raise UsageError(f"a run reads one kind of input; these are {found}: make a run of each")
    folders = [(path, _folder(path)) for path in by_kind["folder"]]
    if photos:
        return Inputs("photos", stat_files(by_kind["photo"]), folders)
    return Inputs("tar" if by_kind["tar"] else "parquet", stat_files(asked))


def expand_range(path: str) -> Iterator[str]:
    """The names that ``{00000..41407}`` in ``path`` stands for; ``path`` itself without one.

    Examples
    --------
    >>> list(expand_range("{08..10}.tar"))
    ['08.tar', '09.tar', '10.tar']
    """
    found = _RANGE.search(path)
    if found is None:
        yield path
        return
    first, last = int(found[1]), int(found[2])
    if not 0 <= last - first < _MOST:
        raise UsageError(f"{path}: a range goes up, over at most {_MOST} names")
    width = len(found[1]) if found[1].startswith("0") else 0
    for number in range(first, last + 1):
        yield from expand_range(f"{path[: found.start()]}{number:0{width}}{path[found.end() :]}")


def is_photo(name: str) -> bool:
    """Whether a file is taken for a photo, by its ending; RAW only where its extra is there."""
    ending = Path(name).suffix.lower()
    return ending in EXTENSIONS or (ending in RAW_EXTENSIONS and raw_installed())


def version_of(info: Mapping[str, Any]) -> str:
    """What tells one content of a file from another, of what its storage says of it."""
    return next((str(info[key]).strip('"') for key in _VERSIONS if info.get(key)), "")


def stat_files(paths: Sequence[str]) -> list[Input]:
    """Sizes and versions of files, in their order; a file that is written in two ways counts once.

    Raises
    ------
    UsageError
        if any are not there; the message counts them and names the first.
    """
    found: dict[str, Input] = {}
    absent: list[str] = []
    for path, url, info in _infos(paths):
        if info is None:
            absent.append(path)
        else:
            found.setdefault(url, Input(path, url, int(info["size"] or 0), version_of(info)))
    if absent:
        more = f" (and {len(absent) - 1} more of {len(paths)})" if len(absent) > 1 else ""
        raise UsageError(f"{absent[0]}: no such file{more}; check names and ranges")
    return list(found.values())


def _infos(paths: Sequence[str]) -> Iterator[tuple[str, str, Any]]:
    """Each path, its URL, and what storage says of it; one listing serves a folder of files."""
    listings: dict[str, dict[str, Any]] = {}
    for path in paths:
        fs, name = filesystem(path)
        url = name if is_local(fs) else fs.unstrip_protocol(name)
        parent = name.rpartition("/")[0]
        with naming(path, "read"):
            if protocol_of(url) in ("http", "https") or len(paths) == 1:
                yield path, url, _info(fs, name)
                continue
            place = url.rpartition("/")[0]
            if place not in listings:
                listings[place] = _listed(fs, parent)
            yield path, url, listings[place].get(name)


def _info(fs: Any, name: str) -> Any:
    try:
        fs.invalidate_cache()
        info = fs.info(name)
    except FileNotFoundError:
        return None
    return None if info["type"] == "directory" else info


def _listed(fs: Any, folder: str) -> dict[str, Any]:
    try:
        fs.invalidate_cache()
        return {each["name"]: each for each in fs.ls(folder, detail=True)}
    except FileNotFoundError:
        return {}


def _matching(path: str) -> Iterator[str]:
    """``path``, or what its ranges and wildcards stand for."""
    if protocol_of(path) == "file" and Path(path).exists():
        yield path
        return
    for each in expand_range(path):
        if not re.search(r"[*?\[]", each):
            yield each
            continue
        fs, pattern = filesystem(each)
        with naming(each, "listed"):
            fs.invalidate_cache()
            found = sorted(fs.glob(pattern))
        if not found:
            raise UsageError(f"{each}: nothing matches")
        for match in found:
            yield _as_given(each, pattern, match) if is_local(fs) else fs.unstrip_protocol(match)


def _as_given(given: str, pattern: str, match: str) -> str:
    """A local ``match`` in the way in which the pattern was given: relative paths stay so."""
    before = len(pattern) - len(given)
    is_relative = before > 0 and pattern.endswith(given)
    return match[before:] if is_relative else match


def _kind_of(path: str) -> str:
    ending = Path(path).suffix.lower()
    if protocol_of(path) == "file" and Path(path).is_dir():
        return "folder"
    if ending in (".tar", ".parquet"):
        return ending[1:]
    return "photo" if is_photo(path) else "folder"


def _folder(path: str) -> str:
    """The URL of a folder that must be there."""
    fs, name = filesystem(path)
    with naming(path, "listed"):
        fs.invalidate_cache()
        is_there = fs.isdir(name)
    if not is_there:
        is_file = fs.exists(name)
        problem = "is no tar, Parquet file or photo" if is_file else "no such file or folder"
        raise UsageError(f"{path}: {problem}; give tars, Parquet files, or folders of photos")
    return name if is_local(fs) else fs.unstrip_protocol(name)
