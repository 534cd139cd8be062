"""Files that a command writes: what is in the way becomes a plain message."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shamisa_cli.errors import ShamisaError, system_reason


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Raise a ShamisaError that names ``path`` where the system refuses to write it."""
    try:
        yield
    except OSError as error:
        raise ShamisaError(f"{path}: cannot be written: {system_reason(error)}") from error


def write_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` in UTF-8; file names that are not UTF-8 keep their bytes."""
    with writing(path):
        path.write_text(text, encoding="utf-8", errors="surrogateescape")
