"""What ``shamisa cull`` chooses among: photos that are scored now, or rows of an earlier run."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import click

from shamisa_cli.commands.culled import LookClose
from shamisa_cli.commands.shared import PassedBy
from shamisa_cli.errors import UsageError

if TYPE_CHECKING:
    from shamisa_cli.culling.survey import Survey
    from shamisa_cli.scoring import Scorer
    from shamisa_cli.scoring.rows import Kind

ROWS: dict[str, Kind] = {".csv": "csv", ".json": "json", ".jsonl": "jsonl"}
"""What rows a file that ``score`` wrote has, by its ending."""


def photos_to_cull(paths: Sequence[str], into: Path | None, quiet: bool, **how: bool) -> list[str]:
    """The photos that ``paths`` mean, a RAW file beside its JPEG not among them.

    Those in ``into`` are left out: an earlier run has put them there.
    """
    from shamisa_cli.imaging.paths import expand_paths

    if paths and all(Path(path).suffix.lower() in ROWS and Path(path).is_file() for path in paths):
        name = click.format_filename(paths[0])
        raise UsageError(f"{name}: no photo; rows that score wrote go by --rows {quote(name)}")
    passed_by = PassedBy()
    found = list(expand_paths(paths, pass_by=passed_by, **how))
    if not quiet:
        passed_by.tell()
    photos = _shots_outside(found, into, quiet)
    if paths and not photos:
        raise UsageError(f"{click.format_filename(paths[0])}: no photos to cull")
    return photos


def _shots_outside(found: Sequence[str], into: Path | None, quiet: bool) -> list[str]:
    """The photos of ``found`` that are to be culled; how many are in ``into`` is told."""
    from shamisa_cli.culling.companions import shots
    from shamisa_cli.culling.places import apart

    outside, inside = apart(found, into)
    if inside and not quiet:
        count = len(shots(inside))
        click.echo(f"{count} photos are in {into} already and are not looked at", err=True)
    return shots(outside)


def score_all(photos: list[str], scorer: Scorer, keep: Path | None, quiet: bool) -> Survey:
    """Score the photos; features are kept in the folder ``keep``, if there is one."""
    from shamisa_cli.culling.survey import survey
    from shamisa_cli.files import writing
    from shamisa_cli.progress import progress_bar

    with writing(keep) if keep else nullcontext(), progress_bar(len(photos), quiet=quiet) as bar:
        return survey(scorer, photos, bar.update, keep)


def from_rows(
    rows: Path, paths: Sequence[str], photos: list[str], into: Path | None, quiet: bool
) -> Survey:
    """Scores of an earlier run: of ``photos``, or of all that the file has outside ``into``."""
    from shamisa_cli.culling.places import entry, rows_there
    from shamisa_cli.culling.survey import survey_rows
    from shamisa_cli.scoring.rows import read_rows

    if not rows.is_file():
        raise UsageError(
            f"{rows}: no such file; make it with shamisa score PHOTOS --csv {quote(str(rows))}"
        )
    advice = "give one that it wrote, with .csv, .json or .jsonl at its end"
    found = read_rows(rows, ROWS.get(rows.suffix.lower(), "csv"), advice)
    there = rows_there(found, rows)
    if not (paths or there):
        raise UsageError(
            f"{rows}: none of its {len(found)} photos is there, from this folder or from that of "
            "the file; run this where shamisa score ran, or score the photos anew"
        )
    if len(there) < len(found):
        gone = len(found) - len(there)
        click.echo(f"{rows}: {gone} of its photos are gone; they are left out", err=True)
    by_entry = {entry(row.path): row for row in there}
    if not paths:
        photos = _shots_outside([row.path for row in there], into, quiet)
        if not photos:
            raise UsageError(f"{rows}: no photos to cull")
    lacking = [photo for photo in photos if entry(photo) not in by_entry]
    if lacking:
        raise UsageError(
            f"{rows}: has no row of {click.format_filename(lacking[0])} ({len(lacking)} photos are "
            "missing); add them with shamisa score --resume"
        )
    return survey_rows([by_entry[entry(photo)] for photo in photos])


def close_looks(scorer: Scorer, quiet: bool) -> LookClose:
    """How good each of some photos looks close up; None for one that cannot be read."""
    from shamisa_cli.progress import progress_bar
    from shamisa_cli.scoring.close_ups import close_ups

    def look(paths: Sequence[str]) -> list[float | None]:
        found: list[float | None] = []
        with progress_bar(len(paths), "close-ups", quiet=quiet or not paths) as bar:
            for _, value in close_ups(scorer, paths):
                found.append(value)
                bar.update()
        return found

    return look
