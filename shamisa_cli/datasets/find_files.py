"""Files by name whatever its case: releases write the same name in several (TID2013's I01, i01)."""

from __future__ import annotations

from pathlib import Path, PurePosixPath


class NameFinder:
    """Finds files below ``folder``; remembers each folder's listing (state: those listings)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._listings: dict[Path, dict[str, Path]] = {}

    def find(self, relative: str) -> Path | None:
        """The path of ``relative`` (parts separated by /), the exact name if it exists, or None."""
        here = self.folder
        for part in PurePosixPath(relative.replace("\\", "/")).parts:
            if part in ("..", "/") or ":" in part:
                exact = self.folder / relative
                return exact if exact.is_file() else None
            listing = self._listing(here)
            child = listing.get(part) or listing.get(part.casefold())
            if child is None:
                return None
            here = child
        return here if here.is_file() else None

    def _listing(self, folder: Path) -> dict[str, Path]:
        """Children by exact and by folded name; exact names win."""
        if folder not in self._listings:
            children = sorted(folder.iterdir()) if folder.is_dir() else []
            folded = {child.name.casefold(): child for child in children}
            self._listings[folder] = folded | {child.name: child for child in children}
        return self._listings[folder]
