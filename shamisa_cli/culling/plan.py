"""Where keepers go: each file's place below one folder, and what is in the way."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from shamisa_cli.culling.companions import Companions
from shamisa_cli.culling.files import How, Place, look
from shamisa_cli.culling.places import entry
from shamisa_cli.errors import UsageError


@dataclass(frozen=True)
class Transfer:
    """A file, and where it goes; both are full paths."""

    source: str
    target: str


@dataclass(frozen=True)
class Plan:
    """What is to be done with the keepers.

    Attributes
    ----------
    how : ``link``, ``copy`` or ``move``.
    transfers : in order; the files that belong to a photo stand before it.
    photos : how many of these are photos.
    done : photos that are at their place already.
    left : (path, why), photos and companions that stay where they are.
    """

    how: How
    transfers: list[Transfer] = field(default_factory=list)
    photos: int = 0
    done: int = 0
    left: list[tuple[str, str]] = field(default_factory=list)


def common_root(asked: Iterable[str]) -> str:
    """The folder that holds all that was asked for: folders themselves, and the folders of files.

    Below it the structure of folders is kept, so that two photos of one name stay apart.

    Raises
    ------
    UsageError
        if there is no such folder, as over two drives.
    """
    folders = set()
    for path in asked:
        full = os.path.abspath(path)  # noqa: PTH100 - links stay as they were given
        while not os.path.isdir(full):  # noqa: PTH112 - of a file, or of a pattern
            full = os.path.dirname(full)  # noqa: PTH120
        folders.add(full)
    try:
        return os.path.commonpath(folders)
    except ValueError as error:
        raise UsageError("the photos are on several drives; cull them one drive at a time") from (
            error
        )


def make_plan(keepers: Sequence[str], root: str, into: Path, how: How) -> Plan:
    """Where each of ``keepers`` goes below ``into``, with the files that belong to it.

    Parameters
    ----------
    keepers : paths of photos. A sidecar of two photos is not moved away from one that stays.
    root : see :func:`common_root`.
    """
    into = Path(os.path.abspath(into))  # noqa: PTH100 - the undo file holds for any folder
    taken: set[str] = set()
    places = [(photo, _place(photo, root, into, how, taken)) for photo in keepers]
    going = {entry(place.source) for _, place in places if isinstance(place, Transfer)}
    companions, plan = Companions(), Plan(how)
    for photo, place in places:
        if isinstance(place, str):
            plan.left.append((photo, place))
            continue
        for companion in companions.of(photo):
            others = companions.shared(companion, photo)
            if how == "move" and any(entry(other) not in going for other in others):
                continue
            beside = _place(companion, root, into, how, taken)
            if isinstance(beside, Transfer):
                plan.transfers.append(beside)
            elif isinstance(beside, str):
                plan.left.append((companion, beside))
        if isinstance(place, Transfer):
            plan.transfers.append(place)
    photos = sum(isinstance(place, Transfer) for _, place in places)
    done = sum(place is None for _, place in places)
    return Plan(how, plan.transfers, photos, done, plan.left)


def _place(path: str, root: str, into: Path, how: How, taken: set[str]) -> Transfer | str | None:
    """The transfer of ``path``, why it stays, or None if it is at its place, which is ``taken``."""
    source, target = os.path.abspath(path), into / _below(path, root)  # noqa: PTH100
    if str(target) in taken:
        return None
    taken.add(str(target))
    if how == "move" and os.path.islink(path):  # noqa: PTH114
        return "it is a link, and links are not moved"
    there = look(Path(source), target, how)
    if there is Place.FREE:
        return Transfer(source, str(target))
    if there is Place.DONE and how != "move":
        return None
    return f"{target} is there and is another file"


def _below(path: str, root: str) -> str:
    return os.path.relpath(os.path.abspath(path), root)  # noqa: PTH100
