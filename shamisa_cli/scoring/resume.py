"""Resuming a run from the files of rows that it left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from shamisa_cli.errors import UsageError
from shamisa_cli.scoring.rows import Kind, read_rows
from shamisa_cli.scoring.score import Score


def earlier_rows(
    files: Sequence[tuple[Path, Kind]], model: str, head: str, asked: Iterable[str]
) -> list[Score]:
    """The rows that need not be made again: scored ones, and failed ones nobody asks for now.

    All files of a run hold the same rows, except that a killed run may have left the last ones out
    of some; the fullest file counts.

    Raises
    ------
    UsageError
        if a file was made with another model, head or protocol, or is no file of rows, or holds
        rows that the fullest does not.
    """
    found = {path: read_rows(path, kind) for path, kind in files}
    for path, rows in found.items():
        for row in rows:
            if (row.model, row.head) != (model, head):
                raise UsageError(
                    f"{path}: was made with model {row.model}, head {row.head}; now it is {model}, "
                    f"{head} (weights, head and options all count). Choose another file to write"
                )
    rows = _fullest(found)
    wanted = set(asked)
    return [row for row in rows if not row.failed or row.path not in wanted]


def _fullest(found: Mapping[Path, list[Score]]) -> list[Score]:
    """The rows of the fullest file; refused if another file has rows that it lacks."""
    if not found:
        return []
    fullest = max(found, key=lambda path: len(found[path]))
    for path, rows in found.items():
        only_here = Counter(rows) - Counter(found[fullest])
        if only_here:
            raise UsageError(
                f"{path}: holds rows that {fullest} does not ({only_here.total()}, such as that of "
                f"{next(iter(only_here)).path}), and resuming would delete them, because all files "
                "get the same rows. Resume one of the two, and name another file for the other"
            )
    return found[fullest]


def remaining(paths: Iterable[str], rows: Iterable[Score]) -> list[str]:
    """``paths`` without those that have a row, each as often as it has one; order is kept."""
    done = Counter(row.path for row in rows)
    left = []
    for path in paths:
        if done[path] > 0:
            done[path] -= 1
        else:
            left.append(path)
    return left
