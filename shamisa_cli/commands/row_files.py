"""The files of rows that a command writes: checked, locked, and what is in them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shamisa_cli.commands.shared import flags_for
from shamisa_cli.errors import UsageError

if TYPE_CHECKING:
    from shamisa_cli.commands.sinks import Files
    from shamisa_cli.scoring import Scorer
    from shamisa_cli.scoring.resume import Earlier
    from shamisa_cli.scoring.rows import Kind

STANDARD_OUTPUT = ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")
"""Files of rows that are none: the rows are printed."""
DEVICES = (Path("/dev"), Path("/dev/fd"), Path("/proc/self/fd"))


def open_row_files(
    csv: Path | None, json: Path | None, jsonl: Path | None, resume: bool, overwrite: bool
) -> tuple[Files, Kind | None]:
    """The files of rows to write, locked, and the kind that is printed instead.

    What is in the way of a file is refused before the work starts.
    """
    from shamisa_cli.files import locked
    from shamisa_cli.scoring.rows import read_rows

    given: list[tuple[Path | None, Kind]] = [(csv, "csv"), (json, "json"), (jsonl, "jsonl")]
    asked = [(path, kind) for path, kind in given if path is not None]
    printed = [kind for path, kind in asked if str(path) in STANDARD_OUTPUT]
    files = [(path, kind) for path, kind in asked if kind not in printed]
    if resume and printed:
        raise UsageError("--resume goes on with files; rows on standard output are not kept")
    if resume and not files:
        raise UsageError("--resume needs the file to go on with: --csv, --json or --jsonl")
    if resume and overwrite:
        raise UsageError("--resume goes on with files, --overwrite replaces them: give one of them")
    if len({path.resolve() for path, _ in files}) < len(files) or len(printed) > 1:
        raise UsageError("--csv, --json and --jsonl need a file each")
    for path, kind in files:
        if path.parent in DEVICES:  # a link there, /dev/stderr, would be replaced
            raise UsageError(f"{path}: is no ordinary file; rows need one, or -, standard output")
        if not path.parent.is_dir():
            raise UsageError(f"{path}: there is no folder {path.parent}; make it first")
        click.get_current_context().with_resource(locked(path))
        rows = read_rows(path, kind)
        if rows and not (resume or overwrite):
            raise UsageError(
                f"{path}: holds {len(rows)} rows of an earlier run; go on with --resume, replace "
                "them with --overwrite, or choose another name"
            )
    return files, next(iter(printed), None)


def earlier_rows(
    scorer: Scorer, files: Files, photos: Sequence[str], check_content: bool
) -> Earlier:
    """What stays of the earlier run in ``files``; what does not, and what is unsure, is told."""
    from shamisa_cli.scoring.resume import Earlier, earlier_run

    if not files:
        return Earlier()
    with flags_for("check_content", "overwrite"):
        earlier = earlier_run(
            files, scorer.model, scorer.head.info.name, photos, content=check_content
        )
    if earlier.changed:
        some = ", ".join(earlier.changed[:3]) + (" …" if len(earlier.changed) > 3 else "")
        click.echo(f"replaced since, scored again: {some} ({len(earlier.changed)})", err=True)
    if earlier.unchecked:
        click.echo(
            f"{earlier.unchecked} rows stay unchecked: no record of their photos is beside "
            f"{files[0][0]}",
            err=True,
        )
    return earlier
