"""One file put in place whole, never over another; killed at any moment, it can be done again."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import Literal

How = Literal["link", "copy", "move"]

_NO_HARD_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
"""What systems answer that have none, such as FAT."""


BLOCK = 1 << 20
"""Bytes that are copied at a time."""

_PART = ".shamisa-part-"


class Place(Enum):
    """What is at the place where a file is to go."""

    FREE = "free"
    DONE = "the file is there already"
    TAKEN = "something else is there"


def look(source: Path, target: Path, how: How) -> Place:
    """What is at ``target``; a file of the same content counts as ``source`` itself."""
    if not os.path.lexists(target):
        return Place.FREE
    if how == "link":
        linked = target.is_symlink() and str(target.readlink()) == os.path.realpath(source)
        return Place.DONE if linked else Place.TAKEN
    return Place.DONE if not target.is_symlink() and same_content(source, target) else Place.TAKEN


def put(source: Path, target: Path, how: How) -> None:
    """Link, copy or move ``source`` to ``target``, whose folder is made.

    ``target`` appears whole, with its times, or not at all. Of a move, ``source`` goes only when
    ``target`` is on the disk.

    Raises
    ------
    FileExistsError
        if anything is at ``target``; it stays as it was. OSError if the system refuses.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    if how == "link":
        target.symlink_to(os.path.realpath(source))
    elif how == "copy":
        _copy(source, target)
    else:
        _move(source, target)


def finish_move(source: Path, target: Path) -> None:
    """Do a move that may have been stopped at any point, or raise as :func:`put` does."""
    if one_entry(source, target):
        return
    if look(source, target, "move") is Place.DONE:
        source.unlink()
    else:
        put(source, target, "move")


def same_content(one: Path, other: Path) -> bool:
    """Whether two files hold the same bytes; False where one cannot be read."""
    try:
        if os.path.samefile(one, other):  # noqa: PTH121
            return True
        if one.stat().st_size != other.stat().st_size or not other.is_file():
            return False
        with one.open("rb") as a, other.open("rb") as b:
            while (block := a.read(1 << 20)) == b.read(1 << 20):
                if not block:
                    return True
    except OSError:
        pass
    return False


def one_entry(one: Path, other: Path) -> bool:
    """Whether two paths are one file by one name, as through a linked folder: it must not go."""
    try:
        if not os.path.samefile(one, other):  # noqa: PTH121
            return False
        parents = [os.path.realpath(path.parent) for path in (one, other)]
        return one.stat().st_nlink < 2 or (parents[0] == parents[1] and one.name == other.name)
    except OSError:
        return False


def unfinished(target: Path) -> Path:
    """Where ``target`` is while it is not whole; of one length, so that no name gets too long."""
    digest = hashlib.sha256(os.fsencode(target.name)).hexdigest()[:16]
    return target.with_name(f"{_PART}{digest}")


def clear_parts(into: Path) -> None:
    """Remove what killed copies have left in ``into``, where no other run is at work."""
    for folder, _, names in os.walk(into):
        for name in names:
            if name.startswith(_PART):
                Path(folder, name).unlink()


def sync_folder(folder: Path) -> None:
    """Have the names in ``folder`` on the disk, where the system can do that."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _copy(source: Path, target: Path) -> None:
    part = unfinished(target)
    part.unlink(missing_ok=True)  # of a run that was killed
    try:
        with source.open("rb") as content, part.open("xb") as file:
            while block := content.read(BLOCK):
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
        shutil.copystat(source, part)
        _rename(part, target)
    finally:
        with suppress(OSError):
            part.unlink()
    sync_folder(target.parent)


def _move(source: Path, target: Path) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno == errno.EXDEV:
            _copy(source, target)
        elif error.errno in _NO_HARD_LINKS:
            _rename(source, target)
            return
        else:
            raise
    sync_folder(target.parent)
    try:
        source.unlink()
    except OSError:
        target.unlink()  # it may not go, so it is not in two places either
        raise


def _rename(source: Path, target: Path) -> None:
    """Rename without replacing; where the system has no hard links another program might come in
    between the look and the act."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from error
        source.rename(target)
        return
    source.unlink()
