"""What PATHS means: files, folders, patterns and lists of them, to the paths of photos."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

from shamisa_cli.imaging.folders import list_photos, natural_key


def expand_paths(paths: Iterable[str], *, recursive: bool = True) -> Iterator[str]:
    """The photos that ``paths`` mean, in the order given, each path written as it was given.

    - A folder stands for its photos in natural order (img2 before img10), hidden files and folders
      left out; with ``recursive``, those of its sub-folders too.
    - A path that does not exist and has wildcards (``*``, ``?``, ``[…]``, ``**``) stands for what
      it matches, in natural order.
    - Anything else stands for itself, even if there is no such file: scoring it will say so.
    """
    for path in paths:
        if os.path.isdir(path):  # noqa: PTH112 - a Path would lose how it was given
            yield from _in_folder(path, recursive)
        elif glob.has_magic(path) and not os.path.lexists(path):
            matches = sorted(glob.glob(path, recursive=True), key=natural_key)  # noqa: PTH207
            yield from expand_paths(matches, recursive=recursive) if matches else [path]
        else:
            yield path


def read_list(file: TextIO) -> list[str]:
    """The paths in ``file``, one a line; empty lines are skipped."""
    return [path for line in file if (path := line.rstrip("\r\n"))]


def _in_folder(folder: str, recursive: bool) -> Iterator[str]:
    for photo in list_photos(folder, recursive=recursive):
        yield os.path.join(folder, photo.relative_to(Path(folder)))  # noqa: PTH118
