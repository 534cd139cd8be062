"""Files that a command writes: known again as ours, put in place whole, one writer at a time."""

from __future__ import annotations

import errno
import os
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from shamisa_cli.errors import ShamisaError, UsageError, system_reason

MARK = "made by shamisa"
"""Pictures, models and other files that have room for it carry it in their metadata."""

FOLDER_MARK = "made-by-shamisa.txt"
"""A folder with this file holds pictures that belong to a page: they are no photos of anybody's."""

_REACH = 1 << 16
"""Bytes at either end of a file among which the mark lies."""

_STARTS = (
    rb"(key,uid,)?path,score,uncertainty,(better_than|width),",  # rows of score
    rb'(\[\n)?\{"path": "[^\n]*", "score": (null|[\d.]+), "uncertainty": ',
    rb'\[\n  \{\n    "path": "[^\n]*",\n    "score": (null|[\d.]+),\n    "uncertainty": '
    rb'(null|[\d.]+),\n    "better_than": ',  # explanations
    rb"path,([a-z]+,)*x,y\n",  # places on a map
    rb'\{\n  "map": \{\n    "method": ',
    rb"\| measure \| in \| chance \|",
    rb"model,tested_on,fitted_on,images,splits,strength,note,measure,",  # probe
    rb"\| model \| tested on \| fitted on \| images \|",
    rb'\{\n  "rows": \[\n    \{\n      "model": ',
    rb"image,score,reference,distortion,(severity,)?mdsi\n",  # labels of distort
    rb"attacker,defender,level,low,high,",  # gmad
    rb"distortion,ladders,in_order,tau,",  # ladder
    rb"\| distortion \| ladders \|",
    rb'\{\n  "[a-z_]+": \{\n    "ladders": \d+,\n    "in_order": ',
)
"""How the tables start that we write; they have no room for a mark."""


def is_ours(path: Path) -> bool:
    """Whether a shamisa command made the file ``path``.

    A picture, a model or an array is known by :data:`MARK` near its start or its end. A table
    (CSV, JSON, Markdown) is known by its columns or keys.

    Raises
    ------
    OSError
        if it cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(_REACH)
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _REACH))
        end = file.read()
    mark = MARK.encode()
    return mark in start or mark in end or any(re.match(each, start) for each in _STARTS)


@contextmanager
def writing(path: Path, advice: str = "") -> Iterator[None]:
    """Raise a ShamisaError that names ``path`` where the system refuses to write it."""
    try:
        yield
    except OSError as error:
        reason = system_reason(error)
        why = f" ({reason}); {advice}" if advice else f": {reason}"
        raise ShamisaError(f"{path}: cannot be written{why}") from error


def is_device(path: Path) -> bool:
    """Whether ``path`` is there and no ordinary file, or in /dev: it is never replaced."""
    return path.exists() and (Path("/dev") in path.parents or not path.is_file())


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path to write to; what is there at the end takes the place of ``path``, all at once.

    If writing fails, an older ``path`` is as it was. A link stays one, and a device is written to.
    """
    if is_device(path):
        yield path
        return
    target = path.resolve()
    part = target.with_name(f".{_short(target.name)}.{os.getpid()}.part")
    try:
        yield part
        part.replace(target)
    finally:
        with suppress(OSError):
            part.unlink()


def _short(name: str) -> str:
    """``name``, or a number in its place that leaves room for more: systems allow 255 bytes."""
    content = os.fsencode(name)
    return name if len(content) <= 200 else f"{zlib.crc32(content):08x}"


def write_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` in UTF-8; file names that are not UTF-8 keep their bytes."""
    with writing(path), replacing(path) as part:
        part.write_text(text, encoding="utf-8", errors="surrogateescape")


def write_whole(file: BinaryIO, place: int, content: bytes, before: bytes = b"") -> None:
    """Put ``content`` at ``place``, near the end of an open file without a buffer: all or nothing.

    ``before`` is what stands there, up to the end of the file. It is there again if an OSError
    says that the system took only a part, as on a full disk; that needs no new room.
    """
    try:
        file.seek(place)
        if file.write(content) != len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except BaseException:
        file.seek(place)
        file.write(before)
        file.truncate(place + len(before))
        raise


class ListFile:
    """A file of items with something between them, whole after each of them. State: the open file.

    Parameters
    ----------
    path : made anew, with ``items`` in it; it appears whole or not at all.
    around : what stands before, between and after the items.

    Raises
    ------
    OSError
        if the file cannot be written, here and later; what was in it stays.
    """

    def __init__(
        self, path: Path, around: tuple[bytes, bytes, bytes], items: Sequence[bytes] = ()
    ) -> None:
        self._path = path
        self._start, self._between, self._end = around
        self._replace(items)
        self._empty = not items
        self._file: BinaryIO = path.open("r+b", buffering=0)

    def add(self, item: bytes) -> None:
        """Add one item, in one write; the items before stay."""
        content = (b"" if self._empty else self._between) + item + self._end
        write_whole(self._file, self._file.seek(-len(self._end), os.SEEK_END), content, self._end)
        self._empty = False

    def close(self, items: Sequence[bytes] | None = None) -> None:
        """Close the file; with ``items``, these take the place of what is in it, all at once."""
        self._file.close()
        if items is not None:
            self._replace(items)

    def _replace(self, items: Sequence[bytes]) -> None:
        with replacing(self._path) as part, part.open("wb") as file:
            file.write(self._start + self._between.join(items) + self._end)
            file.flush()
            os.fsync(file.fileno())


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other runs from writing ``path``: while we are here, they get a UsageError.

    A lock file, ``.NAME.lock`` beside it, shows that a run is at work. The system lets go of the
    lock when the process ends, however it ends: a lock file that a killed run left is no obstacle.
    """
    from filelock import FileLock, Timeout

    if path.exists() and not path.is_file():
        yield
        return
    target = path.resolve()
    lock = FileLock(target.with_name(f".{target.name}.lock"))
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise UsageError(
            f"{path}: another run is writing this file; wait for its end, or choose another name"
        ) from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {system_reason(error)}") from error
    try:
        yield
    finally:
        with suppress(OSError):  # still locked, so that no other run can have made it its own
            Path(lock.lock_file).unlink()
        lock.release()
