"""What photos' files were like when they were scored: one that was replaced is scored again.

Beside a file of rows ``out.csv`` lies ``.out.csv.photos``, a line of JSON for each photo. It is
apart from the rows because two runs on copies of the same photos have the same rows.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from shamisa_cli.digests import file_digest
from shamisa_cli.files import replacing, write_whole


@dataclass(frozen=True)
class PhotoRecord:
    """A photo's file at some time.

    Attributes
    ----------
    size : bytes.
    modified : ns since 1970.
    sha256 : of its content, hexadecimal; "" where that was not asked for.
    """

    size: int
    modified: int
    sha256: str = ""


def record_photo(path: str, *, content: bool) -> PhotoRecord | None:
    """The file ``path`` as it is now, with its digest if ``content``; None if it cannot be read."""
    try:
        found = os.stat(path)  # noqa: PTH116 - a Path would lose how it was given
        if not stat.S_ISREG(found.st_mode):
            return None
        digest = file_digest(Path(path)) if content else ""
    except (OSError, ValueError):
        return None
    return PhotoRecord(found.st_size, found.st_mtime_ns, digest)


def record_path(rows: Path) -> Path:
    """Where the records of the file ``rows`` are."""
    target = rows.resolve()
    return target.with_name(f".{target.name}.photos")


def read_records(rows: Path) -> dict[str, PhotoRecord | None]:
    """The records of a file of rows, by path; None for a photo that changed while it was scored.

    Empty if there is no such file; lines that are torn are left out.
    """
    found: dict[str, PhotoRecord | None] = {}
    try:
        lines = record_path(rows).read_bytes().splitlines()
    except FileNotFoundError:
        return {}
    for line in lines:
        try:
            values = json.loads(line)
            path, record = str(values.pop("path")), PhotoRecord(**values)
        except (ValueError, TypeError, KeyError, AttributeError):
            continue
        found[path] = record if found.get(path, record) == record else None
    return found


class RecordFile:
    """The open records of a file of rows.

    Parameters
    ----------
    rows : the file of rows.
    earlier : records that stay.
    """

    def __init__(self, rows: Path, earlier: Mapping[str, PhotoRecord]) -> None:
        path = record_path(rows)
        with replacing(path) as part:
            part.write_bytes(b"".join(_line(*each) for each in earlier.items()))
        self._file: BinaryIO = path.open("ab", buffering=0)

    def add(self, path: str, record: PhotoRecord) -> None:
        """Add a photo's record, or raise an OSError."""
        write_whole(self._file, self._file.seek(0, os.SEEK_END), _line(path, record))

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _line(path: str, record: PhotoRecord) -> bytes:
    return json.dumps({"path": path, **asdict(record)}).encode() + b"\n"
