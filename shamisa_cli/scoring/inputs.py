"""What PATHS means: files, folders, patterns and lists of them, to the paths of photos."""

from __future__ import annotations

import functools
import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

from shamisa_cli.imaging.folders import has_photo_ending, list_photos, natural_key


def expand_paths(paths: Iterable[str], *, recursive: bool = True) -> Iterator[str]:
    """The photos that ``paths`` mean, in the order given, each path written as it was given.

    - A folder stands for its photos in natural order (img2 before img10), hidden files and folders
      left out; with ``recursive``, those of its sub-folders too.
    - A path that does not exist and has wildcards (``*``, ``?``, ``[…]``, ``**``) stands for what
      it matches, in natural order, every file once. What ``**`` finds must end as photos do, unless
      the pattern spells out another ending (``**/*.dat``).
    - Anything else stands for itself, even if there is no such file: scoring it will say so. So
      does a folder that cannot be listed.
    """
    for path in paths:
        if os.path.isdir(path):  # noqa: PTH112 - a Path would lose how it was given
            yield from _in_folder(path, recursive)
        elif glob.has_magic(path) and not os.path.lexists(path):
            yield from _matching(path, recursive)
        else:
            yield path


def read_list(file: TextIO) -> list[str]:
    """The paths in ``file``, one a line; empty lines are skipped."""
    return [path for line in file if (path := line.rstrip("\r\n"))]


def _in_folder(folder: str, recursive: bool) -> Iterator[str]:
    unlisted: list[Path] = []
    photos = list_photos(folder, recursive=recursive, unlisted=unlisted.append)
    below = [path.relative_to(Path(folder)) for path in [*photos, *unlisted]]
    for path in sorted(below, key=natural_key) if unlisted else below:
        yield folder if path == Path() else os.path.join(folder, path)  # noqa: PTH118


def _matching(pattern: str, recursive: bool) -> Iterator[str]:
    """What ``pattern`` matches, and the folders that could not be listed in looking for it."""
    matches = [*glob.glob(pattern, recursive=True), *_unlisted(pattern)]  # noqa: PTH207
    photos_only = _finds_anything(pattern)
    real_path = functools.cache(os.path.realpath)
    seen = set()
    for match in sorted(matches, key=natural_key):
        is_folder = os.path.isdir(match)  # noqa: PTH112
        if photos_only and not is_folder and not has_photo_ending(match):
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
    """The folders that hold what ``pattern`` matches, if they cannot be listed.

    glob leaves them out without a word.
    """
    holder = os.path.dirname(pattern)  # noqa: PTH120
    holders = glob.glob(os.path.join(holder, ""), recursive=True) if holder else []  # noqa: PTH118, PTH207
    for folder in holders:
        try:
            os.scandir(folder).close()
        except NotADirectoryError:
            continue
        except OSError:
            yield folder.rstrip(os.sep) or folder
