"""Where photos are: in which folder, by which name, and beside which file of rows."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shamisa_cli.scoring.score import Score


def entry(path: str) -> str:
    """The name ``path`` in its folder, whichever way leads there; of a link, not what it means."""
    folder, name = os.path.split(path)
    return os.path.normcase(os.path.join(os.path.realpath(folder), name))  # noqa: PTH118


def apart(photos: Iterable[str], folder: Path | None) -> tuple[list[str], list[str]]:
    """``photos`` outside ``folder`` and those in it; a link counts by its place and its photo."""
    outside: list[str] = []
    inside: list[str] = []
    there = os.path.normcase(os.path.realpath(folder)) if folder else None
    for photo in photos:
        both = (entry(photo), os.path.normcase(os.path.realpath(photo)))
        held = there is not None and any(Path(path).is_relative_to(there) for path in both)
        (inside if held else outside).append(photo)
    return outside, inside


def rows_there(rows: Sequence[Score], file: Path) -> list[Score]:
    """The ``rows`` of ``file`` whose photos are there, each with a path that leads to its photo.

    Paths hold from the current folder. If no relative one leads anywhere from here, all of them
    hold from the folder of ``file``: photos of two folders are never mixed.
    """
    relative = [row.path for row in rows if not os.path.isabs(row.path)]  # noqa: PTH117
    if not any(os.path.lexists(path) for path in relative):
        named = [row for row in rows if row.path]
        rows = [replace(row, path=os.path.join(file.parent, row.path)) for row in named]  # noqa: PTH118
    return [row for row in rows if os.path.lexists(row.path)]
