"""Going on with a run that was stopped: which rows stay, which photos are left to score."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from shamisa_cli.errors import UsageError
from shamisa_cli.scoring.records import PhotoRecord, read_records, record_photo
from shamisa_cli.scoring.rows import Kind, read_rows
from shamisa_cli.scoring.score import Score


@dataclass(frozen=True)
class Earlier:
    """What stays of an earlier run.

    Attributes
    ----------
    rows : that need not be made again.
    records : of the photos of these rows, by path.
    changed : paths of photos that were replaced since; they have no row here.
    unchecked : rows that stay although nothing tells whether their photo is the same.
    """

    rows: list[Score] = field(default_factory=list)
    records: dict[str, PhotoRecord] = field(default_factory=dict)
    changed: list[str] = field(default_factory=list)
    unchecked: int = 0


def earlier_run(
    files: Sequence[tuple[Path, Kind]],
    model: str,
    head: str,
    asked: Iterable[str],
    *,
    content: bool = False,
) -> Earlier:
    """The rows that need not be made again, and what is known of their photos.

    These are rows of photos that nobody asks for now, and scored ones of photos that are what they
    were: by size and modification time or, with ``content``, by digest. Photos that are not there
    any more keep their row.

    All files of a run hold the same rows, except that a killed run may have left the last ones out
    of some; the fullest file counts.

    Raises
    ------
    UsageError
        if a file was made with another model, head or protocol, or is no file of rows, or holds
        rows that the fullest does not; with ``content``, if a row has no digest.
    """
    rows = _fullest(files, model, head)
    wanted = {photo_key(path) for path in asked}
    rows = [row for row in rows if not row.failed or photo_key(row.path) not in wanted]
    to_check = {row.path for row in rows if not row.failed and photo_key(row.path) in wanted}
    known: dict[str, PhotoRecord | None] = {}
    for file, _ in files:
        known |= read_records(file)
    if content:
        _check_digests(to_check, known, files[0][0])
    now = {path: record_photo(path, content=content) for path in to_check}
    found = {path: record for path, record in now.items() if record is not None}
    changed = {p for p in found if known and not _same(known.get(p), found[p], content)}
    rows = [row for row in rows if row.path not in changed]
    records = {path: record for path, record in known.items() if record is not None}
    if content or not known:
        records |= found
    staying = {row.path for row in rows}
    records = {path: record for path, record in records.items() if path in staying}
    return Earlier(rows, records, sorted(changed), unchecked=0 if known else len(to_check))


def remaining(paths: Iterable[str], rows: Iterable[Score]) -> list[str]:
    """``paths`` without those that have a row, each as often as it has one; order is kept."""
    done = Counter(photo_key(row.path) for row in rows)
    left = []
    for path in paths:
        key = photo_key(path)
        if done[key] > 0:
            done[key] -= 1
        else:
            left.append(path)
    return left


def photo_key(path: str) -> str:
    """What ``a.jpg``, ``./a.jpg`` and the same path in full have in common."""
    return os.path.normcase(Path.cwd() / path)


def _same(then: PhotoRecord | None, now: PhotoRecord, content: bool) -> bool:
    if then is None:
        return False
    if content:
        return then.sha256 == now.sha256
    return (then.size, then.modified) == (now.size, now.modified)


def _check_digests(
    paths: Iterable[str], known: Mapping[str, PhotoRecord | None], rows: Path
) -> None:
    """Refuse to compare digests where there are none: all these photos would be scored again."""
    lacking = [path for path in paths if (record := known.get(path)) and not record.sha256]
    lacking = lacking if known else list(paths)
    if lacking:
        raise UsageError(
            f"{rows}: check_content has nothing to compare, since {len(lacking)} photos were "
            "scored without it; leave it out, or score them anew with overwrite"
        )


def _fullest(files: Sequence[tuple[Path, Kind]], model: str, head: str) -> list[Score]:
    """The rows of the fullest file, if those of the others are among them."""
    found = {path: read_rows(path, kind) for path, kind in files}
    fullest = max(found, key=lambda path: len(found[path]))
    for path, rows in found.items():
        for row in rows:
            if (row.model, row.head) != (model, head):
                raise UsageError(
                    f"{path}: was made with model {row.model}, head {row.head}; now it is {model}, "
                    f"{head} (weights, head and options all count). Choose another file to write"
                )
        only_here = Counter(rows) - Counter(found[fullest])
        if only_here:
            raise UsageError(
                f"{path}: holds rows that {fullest} does not ({only_here.total()}, such as that of "
                f"{next(iter(only_here)).path}), and resuming would delete them, because all files "
                "get the same rows. Resume one of the two, and name another file for the other"
            )
    return found[fullest]
