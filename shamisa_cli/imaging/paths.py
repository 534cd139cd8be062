"""Paths of photos: files, folder trees and patterns, in the order a person would list them."""

from __future__ import annotations

import functools
import glob
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from shamisa_cli.errors import PhotoError, ShamisaError, system_reason
from shamisa_cli.imaging.formats import EXTENSIONS


def list_photos(
    folder: str | Path, *, recursive: bool = True, keep_unlisted: bool = False
) -> list[Path]:
    """Paths of the photos in ``folder`` by their file name endings, in natural order.

    Hidden files and folders are left out. Folders that are links are followed, but never twice.

    Parameters
    ----------
    keep_unlisted : a folder that cannot be listed (permissions, a bad disk), ``folder`` among
        them, stands for itself in the list; otherwise it is an error.

    Raises
    ------
    ShamisaError
        if ``folder`` does not exist, or is no folder.
    PhotoError
        if a folder cannot be listed.
    """
    root = Path(folder)
    found = []
    seen = set()

    def not_listed(error: OSError) -> None:
        where = Path(error.filename or root)
        if where == root and isinstance(error, (FileNotFoundError, NotADirectoryError)):
            problem = "is a file, not a folder" if root.exists() else "no such folder"
            raise ShamisaError(f"{root}: {problem}; point it at a folder of photos") from error
        if not keep_unlisted:
            raise _unlisted_error(where, error) from error
        found.append(where)

    for where, folders, files in os.walk(root, onerror=not_listed, followlinks=True):
        seen.add(os.path.realpath(where))
        folders[:] = [
            name
            for name in folders
            if recursive
            and not name.startswith(".")
            and os.path.realpath(Path(where, name)) not in seen
        ]
        found += [
            Path(where, name)
            for name in files
            if not name.startswith(".") and _has_photo_ending(name)
        ]
    return sorted(found, key=lambda path: natural_key(path.relative_to(root)))


def expand_paths(paths: Iterable[str], *, recursive: bool = True) -> Iterator[str]:
    """The photos that ``paths`` mean, in the order given, each path written as it was given.

    - A folder stands for its photos, see :func:`list_photos`; one that cannot be listed stands for
      itself.
    - A path that does not exist and has wildcards (``*``, ``?``, ``[…]``, ``**``) stands for what
      it matches, in natural order, every file once. What ``**`` finds must end as photos do, unless
      the pattern names another ending (``**/*.dat``).
    - Anything else stands for itself, even if there is no such file: decoding it will say so.
    """
    for path in paths:
        if os.path.isdir(path):  # noqa: PTH112 - a Path would lose how it was given
            yield from _in_folder(path, recursive)
        elif glob.has_magic(path) and not os.path.lexists(path):
            yield from _matching(path, recursive)
        else:
            yield path


def folder_error(folder: str | Path) -> PhotoError:
    """The error for a folder where a photo should be, or for one that cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            for _ in entries:
                pass
    except OSError as error:
        return _unlisted_error(folder, error)
    return PhotoError(f"{folder}: is a folder, not a photo; give the paths of its photos")


def natural_key(path: str | Path) -> tuple[tuple[tuple[int, int, str], ...], str]:
    """A sorting key that puts img2 before img10, folder by folder, whatever the case."""
    parts = re.findall(r"\d+|\D", Path(path).as_posix().casefold())
    numbered = tuple((0, int(p), "") if p.isdecimal() else (1, 0, p) for p in parts)
    return numbered, Path(path).as_posix()


def _has_photo_ending(path: str | Path) -> bool:
    return Path(path).suffix.lower() in EXTENSIONS


def _unlisted_error(folder: str | Path, error: OSError) -> PhotoError:
    advice = "check its permissions" if isinstance(error, PermissionError) else "check its disk"
    return PhotoError(f"{folder}: this folder cannot be listed ({system_reason(error)}); {advice}")


def _in_folder(folder: str, recursive: bool) -> Iterator[str]:
    for path in list_photos(folder, recursive=recursive, keep_unlisted=True):
        below = path.relative_to(folder)
        yield folder if below == Path() else os.path.join(folder, below)  # noqa: PTH118


def _matching(pattern: str, recursive: bool) -> Iterator[str]:
    """What ``pattern`` matches, and the folders that could not be listed in looking for it."""
    matches = [*glob.glob(pattern, recursive=True), *_unlisted(pattern)]  # noqa: PTH207
    photos_only = _finds_anything(pattern)
    real_path = functools.cache(os.path.realpath)
    seen = set()
    for match in sorted(matches, key=natural_key):
        is_folder = os.path.isdir(match)  # noqa: PTH112
        if photos_only and not is_folder and not _has_photo_ending(match):
            continue
        for path in _in_folder(match, recursive) if is_folder else [match]:
            where, name = os.path.split(path.rstrip(os.sep))
            place = real_path(where), name
            if place not in seen:
                seen.add(place)
                yield path
    if not matches:
        yield pattern


def _finds_anything(pattern: str) -> bool:
    """Whether ``pattern`` goes through a folder tree without saying how files there must end."""
    parts = Path(pattern).parts
    ending = Path(parts[-1]).suffix
    return "**" in parts and (not ending or glob.has_magic(ending))


def _unlisted(pattern: str) -> Iterator[str]:
    """The folders that hold what ``pattern`` matches and cannot be listed; glob skips them."""
    holder = os.path.dirname(pattern)  # noqa: PTH120
    holders = glob.glob(os.path.join(holder, ""), recursive=True) if holder else []  # noqa: PTH118, PTH207
    for folder in holders:
        try:
            os.scandir(folder).close()
        except NotADirectoryError:
            continue
        except OSError:
            yield folder.rstrip(os.sep) or folder
