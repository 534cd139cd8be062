"""Photos that come into a folder: which of them are whole, and not yet scored as they are now."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from shamisa_cli.errors import ShamisaError
from shamisa_cli.imaging.paths import folder_error, list_photos
from shamisa_cli.scoring.records import PhotoRecord, record_photo

PATIENCE = 5
"""So many times the steady time a photo that cannot be decoded is given to become whole."""


@dataclass
class _Seen:
    """A file as it was at the last look, since when (s), and whether it is settled like that."""

    record: PhotoRecord
    since: float
    settled: bool = False
    tried: float | None = None


class Arrivals:
    """The photos of a folder.

    State: how each file was seen. A file counts as whole when its size and modification time have
    stayed the same for a while. One that cannot be decoded then may still be half-written by a
    program that pauses, so it is tried again for :data:`PATIENCE` times that long. A settled file
    that goes, or whose folder cannot be listed for a while, is settled when it comes back the same.

    Parameters
    ----------
    folder : that is looked into.
    recursive : into its sub-folders, too.
    steady : s without a change.
    clock : s, for tests.
    """

    def __init__(
        self,
        folder: Path,
        *,
        recursive: bool,
        steady: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder, self._recursive = folder, recursive
        self._steady, self._clock = steady, clock
        self._seen: dict[str, _Seen] = {}
        self._gone: dict[str, _Seen] = {}

    def look(self) -> list[str]:
        """The photos that are there now, in natural order.

        Raises
        ------
        ShamisaError
            if the folder is gone, or cannot be listed.
        """
        if not self._folder.is_dir():
            raise ShamisaError(f"{self._folder}: this folder is not there any more")
        found = list_photos(self._folder, recursive=self._recursive, keep_unlisted=True)
        if self._folder in found:
            raise folder_error(self._folder)
        records = {str(path): record_photo(str(path), content=False) for path in found}
        now = self._clock()
        before, self._seen = self._seen, {}
        for path, record in records.items():
            if record is not None:
                seen = before.pop(path, None) or self._gone.pop(path, None)
                same = seen is not None and seen.record == record
                self._seen[path] = seen if seen and same else _Seen(record, now)
        self._gone |= {path: seen for path, seen in before.items() if seen.settled}
        return list(self._seen)

    def ready(self) -> list[str]:
        """Those of the last look that are whole, and not settled as they are now."""
        now = self._clock()
        return [path for path, seen in self._seen.items() if self._due(seen) <= now]

    def pause(self) -> float | None:
        """Seconds until another photo may be ready; None if none is waited for."""
        due = min(map(self._due, self._seen.values()), default=float("inf"))
        return None if due == float("inf") else max(0.0, due - self._clock())

    def settle(self, path: str) -> None:
        """``path`` has its row, as it is now."""
        if path in self._seen:
            self._seen[path].settled = True

    def try_again(self, path: str) -> bool:
        """Whether ``path``, which cannot be decoded, may be half-written; then it comes again."""
        seen = self._seen.get(path)
        if seen is None:  # it is gone
            return True
        seen.tried = self._clock()
        return seen.tried - seen.since < PATIENCE * self._steady

    def _due(self, seen: _Seen) -> float:
        """From when on a photo is ready, by the clock."""
        if seen.settled:
            return float("inf")
        return (seen.since if seen.tried is None else seen.tried) + self._steady
