"""The photo of a row as the page meets it: where its file is, and whether a browser shows it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from shamisa_cli.errors import system_reason
from shamisa_cli.imaging.formats import format_of
from shamisa_cli.imaging.raw import is_raw
from shamisa_cli.scoring.score import Score

_SHOWN = ("JPEG", "PNG", "GIF", "WEBP", "BMP")
"""Formats that every browser shows."""


@dataclass(frozen=True)
class PhotoFile:
    """The file of a row's photo.

    Attributes
    ----------
    row : of the photo.
    path : where the file is.
    gone : why there is nothing to see; empty if there is a file.
    shown : whether a browser shows the file itself.
    """

    row: Score
    path: Path
    gone: str = ""
    shown: bool = False

    @property
    def drawn(self) -> bool:
        """Whether there are pictures to make of it: it was scored, and is still there."""
        return not (self.row.failed or self.gone)


def find_photo(row: Score, beside: Path | None = None) -> PhotoFile:
    """Look for the file of ``row``: as its path says, else from the folder ``beside``."""
    path = Path(row.path)
    if not row.path:
        return PhotoFile(row, path, "it had no file")
    try:
        if beside is not None and not path.exists() and (beside / path).exists():
            path = beside / path
        if path.exists() and not path.is_file():
            return PhotoFile(row, path, "no ordinary file")
        with path.open("rb") as file:
            return PhotoFile(row, path, shown=_is_shown(file, row.path))
    except FileNotFoundError:
        return PhotoFile(row, path, "the photo is gone")
    except (OSError, ValueError) as error:  # ValueError: a name that holds a NUL
        reason = system_reason(error) if isinstance(error, OSError) else str(error)
        return PhotoFile(row, path, reason)


def relative_url(path: Path, folder: Path) -> str:
    """A URL that leads from a page in ``folder`` to ``path``, whatever bytes its name has.

    Examples
    --------
    >>> relative_url(Path("photos/50% #1?.jpg"), Path("reports"))
    '../photos/50%25%20%231%3F.jpg'
    """
    try:
        below = os.path.relpath(path, folder)
    except ValueError:  # another drive
        return path.absolute().as_uri()
    return quote(os.fsencode(below.replace(os.sep, "/")))


def _is_shown(file: BinaryIO, name: str) -> bool:
    prefix = file.read(16)
    if prefix[4:12] in (b"ftypavif", b"ftypavis"):
        return True
    return format_of(prefix) in _SHOWN and not is_raw(file, name)
