"""The photos of a folder tree, in the order a person would list them."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path, PurePath

from shamisa_cli.errors import ShamisaError
from shamisa_cli.imaging.formats import EXTENSIONS


def list_photos(folder: str | Path, *, recursive: bool = True) -> list[Path]:
    """Paths of the photos in ``folder`` by their file name endings, in natural order.

    Hidden files and folders are left out. Folders that are links are followed, but never twice.

    Raises
    ------
    ShamisaError
        if ``folder`` does not exist, or is no folder.
    """
    root = Path(folder)
    if not root.is_dir():
        problem = "is a file, not a folder" if root.exists() else "no such folder"
        raise ShamisaError(f"{root}: {problem}; point it at a folder of photos")
    found = []
    seen = set()
    for where, folders, files in os.walk(root, followlinks=True):
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
            if not name.startswith(".") and Path(name).suffix.lower() in EXTENSIONS
        ]
    return sorted(found, key=lambda path: natural_key(path.relative_to(root)))


def natural_key(path: str | Path) -> tuple[tuple[tuple[int, int, str], ...], str]:
    """A sorting key that puts img2 before img10, folder by folder, whatever the case."""
    parts = re.findall(r"\d+|\D", Path(path).as_posix().casefold())
    numbered = tuple((0, int(p), "") if p.isdecimal() else (1, 0, p) for p in parts)
    return numbered, Path(path).as_posix()


def find_photos(arguments: Sequence[Path]) -> list[tuple[Path, PurePath]]:
    """The photos that a command line names: (path, name) of files, and of all photos in folders.

    A name is the path below the folder that was given; of a file, its file name.

    Raises
    ------
    ShamisaError
        on an argument that does not exist, or a folder without photos.
    """
    found: list[tuple[Path, PurePath]] = []
    for argument in arguments:
        if not argument.is_dir():
            if not argument.exists():
                raise ShamisaError(f"{argument}: no such file or folder")
            found.append((argument, PurePath(argument.name)))
            continue
        below = list_photos(argument)
        if not below:
            raise ShamisaError(f"{argument}: no photos there")
        found += [(path, path.relative_to(argument)) for path in below]
    return found
