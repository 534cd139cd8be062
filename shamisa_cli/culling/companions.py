"""Files that belong to a photo and go where it goes: its RAW file, its sidecars."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from shamisa_cli.imaging.formats import EXTENSIONS
from shamisa_cli.imaging.raw import RAW_EXTENSIONS

SIDECARS = frozenset((".xmp", ".pp3", ".dop", ".aae", ".thm", ".wav", ".mov"))
"""Endings: edits of Adobe, darktable, RawTherapee, DxO and Apple, thumbnails, spoken notes, live
photos. They stand in place of the photo's ending (``a.xmp``), or after it (``a.jpg.xmp``)."""


def shots(photos: Iterable[str]) -> list[str]:
    """``photos`` without the RAW files that stand beside a photo of the same name: one is looked
    at, the other goes along. Of a photo that is there by two paths the first counts."""
    listed = list(photos)
    developed = {_stem(photo) for photo in listed if not _is_raw(photo)}
    found: dict[str, str] = {}
    for photo in listed:
        if not (_is_raw(photo) and _stem(photo) in developed):
            found.setdefault(os.path.realpath(photo), photo)
    return list(found.values())


class Companions:
    """Finds the files that belong to photos. State: the folders that were listed."""

    def __init__(self) -> None:
        self._folders: dict[str, dict[str, list[str]]] = {}

    def of(self, photo: str) -> list[str]:
        """Paths of the files that belong to ``photo``, in order."""
        folder, name = os.path.split(photo)
        stem = _folded_stem(name)
        found = []
        for other in self._by_stem(folder).get(stem, ()):
            if other != name and _belongs(other, name):
                found.append(os.path.join(folder, other))  # noqa: PTH118 - keeps how it was given
        return found

    def shared(self, companion: str, photo: str) -> list[str]:
        """Other photos, on the disk, to which ``companion`` of ``photo`` belongs as well."""
        folder, name = os.path.split(photo)
        own = os.path.basename(companion)  # noqa: PTH119
        return [
            os.path.join(folder, other)  # noqa: PTH118
            for other in self._by_stem(folder).get(_folded_stem(name), ())
            if other not in (name, own)
            and _is_photo(other)
            and not _is_raw(other)
            and _belongs(own, other)
        ]

    def _by_stem(self, folder: str) -> dict[str, list[str]]:
        if folder not in self._folders:
            found = defaultdict(list)
            try:
                names = sorted(entry.name for entry in os.scandir(folder or ".") if entry.is_file())
            except OSError:
                names = []
            for name in names:
                found[_folded_stem(name)].append(name)
            self._folders[folder] = found
        return self._folders[folder]


def _belongs(other: str, name: str) -> bool:
    """Whether the file ``other`` is the RAW file or a sidecar of the photo ``name``."""
    stem, ending = os.path.splitext(other)  # noqa: PTH122
    if ending.lower() in SIDECARS:
        return stem.casefold() in (name.casefold(), os.path.splitext(name)[0].casefold())  # noqa: PTH122
    same = stem.casefold() == os.path.splitext(name)[0].casefold()  # noqa: PTH122
    return same and ending.lower() in RAW_EXTENSIONS and not _is_raw(name)


def _is_photo(name: str) -> bool:
    return Path(name).suffix.lower() in EXTENSIONS | RAW_EXTENSIONS


def _is_raw(photo: str) -> bool:
    return Path(photo).suffix.lower() in RAW_EXTENSIONS


def _stem(photo: str) -> tuple[str, str]:
    folder, name = os.path.split(photo)
    return os.path.realpath(folder), os.path.splitext(name)[0].casefold()  # noqa: PTH122


def _folded_stem(name: str) -> str:
    """``a`` for a.jpg, a.xmp and a.jpg.xmp."""
    stem, ending = os.path.splitext(name)  # noqa: PTH122
    if ending.lower() in SIDECARS and _is_photo(stem):
        stem = os.path.splitext(stem)[0]  # noqa: PTH122
    return stem.casefold()
