"""The folder of maps: each photo has its file, and nothing that is not ours is touched."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from shamisa_cli.errors import UsageError
from shamisa_cli.files import FOLDER_MARK, MARK, writing

ENDING = ".map.png"

LONGEST = 200
"""Bytes of a photo's name in that of its map: file systems allow 255, with number and ending."""


def open_map_folder(
    folder: Path, photos: Sequence[str], others: Sequence[str] = (), *, replace: bool
) -> dict[str, Path]:
    """Make the folder of maps, and mark it as ours; the file of each photo, by its path.

    Parameters
    ----------
    photos : paths as given.
    others : photos whose maps of an earlier run stay.
    replace : whether maps that are there may be replaced.

    Raises
    ------
    UsageError
        if ``folder`` holds files of somebody else, or maps and they must stay.
    """
    files = map_files(folder, photos, others)
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    if names and FOLDER_MARK not in names:
        raise UsageError(
            f"{folder}: holds {min(names)!r}, which shamisa did not make; choose another folder"
        )
    if not replace and any(name.endswith(ENDING) for name in names):
        raise UsageError(f"{folder}: holds maps already; replace them with overwrite")
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FOLDER_MARK).write_text(f"{MARK}: maps of photos\n", encoding="utf-8")
    return files


def map_files(folder: Path, photos: Sequence[str], others: Sequence[str] = ()) -> dict[str, Path]:
    """``a.jpg.map.png`` for ``a.jpg``.

    Of ``photos`` and ``others`` of one name each has a number of its own, made of its path. So has
    one whose name leaves no room for more, which is cut.
    """
    count = Counter(Path(photo).name for photo in {*photos, *others})
    files: dict[str, Path] = {}
    for photo in photos:
        name, own = Path(photo).name, f"-{zlib.crc32(_content(photo)):08x}"
        long = len(_content(name)) > LONGEST
        start = _content(name)[:LONGEST].decode("utf-8", "ignore") if long else name
        files[photo] = folder / f"{start}{own if long or count[name] > 1 else ''}{ENDING}"
    return files


def _content(name: str) -> bytes:
    """The bytes of a name; of one that is not UTF-8 those that it has."""
    return name.encode("utf-8", "surrogateescape")
