"""The photos of a folder tree, in the order a person would list them."""

from __future__ import annotations

import os
import re
from pathlib import Path

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
