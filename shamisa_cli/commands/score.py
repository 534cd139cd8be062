"""``shamisa score``: how good do these photos look?"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from shamisa_cli.commands.shared import (
    FILE,
    PassedBy,
    crops_option,
    device_option,
    flags_for,
    follow_links_option,
    model_option,
    recursive_option,
)
from shamisa_cli.errors import ShamisaError, UsageError, WeightsError

if TYPE_CHECKING:
    from shamisa_cli.scoring import Score, Scorer
    from shamisa_cli.scoring.rows import Kind, RowFiles

    Files = Sequence[tuple[Path, Kind]]

_LIST = click.File(encoding="utf-8", errors="surrogateescape")


@click.command()
@click.argument("paths", nargs=-1, type=click.Path())
@click.option("--csv", type=FILE, help="Write rows to this CSV file.")
@click.option("--json", type=FILE, help="Write rows to this file, as one JSON array.")
@click.option("--jsonl", type=FILE, help="Write rows to this file, one JSON object a line.")
@model_option
@click.option("--head", help="Which head of the model.  [default: the model's own]")
@device_option
@click.option(
    "--precision",
    type=click.Choice(["auto", "fp32", "bf16"]),
    default="auto",
    show_default=True,
    help="auto is bf16 where it pays.",
)
@click.option("--batch-size", type=click.IntRange(1), help="Photos collected for a GPU.")
@click.option(
    "--workers",
    type=click.IntRange(0),
    help="Threads that decode and score.  [default: the cores]",
)
@click.option(
    "--short-side", type=click.IntRange(1), metavar="PX", help="Viewing size, at least 128."
)
@click.option("--max-side", type=click.IntRange(1), metavar="PX", help="Same, by the longer side.")
@click.option("--native", is_flag=True, help="Score at native size, in tiles.")
@crops_option
@recursive_option
@follow_links_option
@click.option("--from-file", type=_LIST, metavar="F", help="More PATHS, one a line; - is stdin.")
@click.option("--resume", is_flag=True, help="Go on with the files of a run that was stopped.")
@click.option("--sort", is_flag=True, help="Best first, once all are scored.")
@click.option(
    "--max-pixels",
    type=click.IntRange(1),
    help="Refuse photos of more pixels.  [default: 256000000]",
)
@click.option("--quiet", is_flag=True, help="No progress, and no summary unless photos failed.")
def score(
    paths: tuple[str, ...],
    csv: Path | None,
    json: Path | None,
    jsonl: Path | None,
    from_file: TextIO | None,
    recursive: bool,
    follow_links: bool,
    resume: bool,
    sort: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Score photos from 0 to 100; higher looks better.

    PATHS are photos, folders, or quoted patterns such as '**/*.jpg'. Without --csv, --json or
    --jsonl the scores are printed: a table on a terminal, tab-separated lines (score, status,
    path) in a pipe.

    \b
    Exit code: 0 all scored, 1 some failed (each has a row that says why), 2 wrong usage.
    """
    files = _files(csv, json, jsonl, resume)
    photos = _photos(paths, from_file, quiet, recursive=recursive, follow_links=follow_links)

    from shamisa_cli.scoring.rows import RowFiles, earlier_rows, remaining

    scorer = _load(options, quiet)
    earlier = earlier_rows(files, scorer.model, scorer.head.info.name, photos) if resume else []
    todo = remaining(photos, earlier)
    sink = RowFiles(files, earlier, sort=sort) if files else _Terminal(sort=sort)
    started = time.monotonic()
    try:
        failed = _run(scorer, todo, sink, quiet=quiet)
    except (KeyboardInterrupt, ShamisaError):
        if files:
            click.echo("stopped; finished rows are kept, go on with --resume", err=True)
        raise
    if failed or not quiet:
        seconds = time.monotonic() - started
        click.echo(_summary(len(todo) - failed, failed, len(earlier), seconds, files), err=True)
    if failed:
        sys.exit(1)


class _Terminal:
    """A table on a terminal, plain lines in a pipe; with ``sort``, all at the end, best first."""

    def __init__(self, *, sort: bool) -> None:
        from shamisa_cli.scoring.score import TABLE_HEADER, plain_line, table_line

        self._sort = sort
        self._kept: list[Score] = []
        self._line = table_line if sys.stdout.isatty() else plain_line
        if sys.stdout.isatty():
            _print(TABLE_HEADER)

    def write(self, row: Score) -> None:
        """Print a row, or keep it for the end."""
        if self._sort:
            self._kept.append(row)
        else:
            _print(self._line(row))

    def close(self, *, finished: bool) -> None:
        """Print what was kept."""
        from shamisa_cli.scoring.score import best_first

        for row in best_first(self._kept):
            _print(self._line(row))


def _print(line: str) -> None:
    """A line on stdout, clear of the progress bar on stderr; odd file names keep their bytes."""
    from tqdm import tqdm

    if sys.stdout.isatty():
        tqdm.write(line, file=sys.stdout)
    else:
        click.echo(line.encode("utf-8", "surrogateescape"))


def _load(options: dict[str, Any], quiet: bool) -> Scorer:
    """The scorer that ``options`` ask for; what its head means is told."""
    from shamisa_cli.encoders.config import ViewingProtocol
    from shamisa_cli.scoring import load
    from shamisa_cli.scoring.loading import adapt_protocol
    from shamisa_cli.scoring.score import describe_head

    viewing = ("short_side", "max_side", "native", "crops")
    with flags_for(*viewing):  # refused here, where nothing of the user's can look like an option
        adapt_protocol(ViewingProtocol(), **{name: options[name] for name in viewing})
    # Pillow and libtiff warn of harmless oddities; what matters is in the rows.
    warnings.filterwarnings("ignore", module="PIL")
    try:
        scorer = load(**{name: value for name, value in options.items() if value is not None})
    except WeightsError as error:
        raise UsageError(str(error)) from error  # exit code 1 would say that photos failed
    if not quiet:
        click.echo(f"model {scorer.model}, {describe_head(scorer.head.info)}", err=True)
    return scorer


def _files(csv: Path | None, json: Path | None, jsonl: Path | None, resume: bool) -> Files:
    """The files of rows to write; what is in the way of one is refused before the work starts."""
    from shamisa_cli.scoring.rows import read_rows

    asked: list[tuple[Path | None, Kind]] = [(csv, "csv"), (json, "json"), (jsonl, "jsonl")]
    files = [(path, kind) for path, kind in asked if path is not None]
    if resume and not files:
        raise UsageError("--resume needs the file to go on with: --csv, --json or --jsonl")
    if len({path.resolve() for path, _ in files}) < len(files):
        raise UsageError("--csv, --json and --jsonl need a file each")
    for path, kind in files:
        if str(path) == "-":
            raise UsageError("rows go to files; without such an option, plain lines go to a pipe")
        if not path.parent.is_dir():
            raise UsageError(f"{path}: there is no folder {path.parent}; make it first")
        read_rows(path, kind, to_replace=not resume)
    return files


def _photos(paths: Iterable[str], from_file: TextIO | None, quiet: bool, **how: bool) -> list[str]:
    """The photos to score, in order; ``how`` folders are searched is as in :func:`expand_paths`.

    A folder or list without any is told, and what folders have beside photos.
    """
    from shamisa_cli.imaging.paths import expand_paths

    listed = [line.rstrip("\r\n") for line in from_file or ()]
    asked = [*paths, *filter(None, listed)]
    if not asked:
        where = f"{from_file.name} is empty" if from_file else "no photos given"
        raise UsageError(f"{where}: shamisa score PHOTO_OR_FOLDER … (or see it work: shamisa demo)")
    photos: list[str] = []
    passed_by = PassedBy()
    for path in asked:
        found = list(expand_paths([path], pass_by=passed_by, **how))
        if not found:
            click.echo(f"{path}: no photos in this folder", err=True)
        photos += found
    if not (photos and quiet):
        passed_by.tell()
    if not photos:
        raise UsageError("nothing to score")
    return photos


def _run(scorer: Scorer, photos: Sequence[str], sink: RowFiles | _Terminal, *, quiet: bool) -> int:
    """Score ``photos`` into ``sink``, with progress on stderr; returns how many failed."""
    from shamisa_cli.progress import progress_bar

    failed, finished = 0, False
    try:
        with progress_bar(len(photos), quiet=quiet) as bar:
            for row in scorer.score_many(photos):
                sink.write(row)
                failed += row.failed
                if failed:
                    bar.set_postfix(failed=failed, refresh=False)
                bar.update()
        finished = True
    finally:
        sink.close(finished=finished)
    return failed


def _summary(scored: int, failed: int, earlier: int, seconds: float, files: Files) -> str:
    """The last line: how many, how fast, where."""
    parts = [f"{scored} scored", f"{failed} failed"]
    if earlier:
        parts.append(f"{earlier} already there")
    rate = (scored + failed) / max(seconds, 1e-9)
    written = f"; rows in {', '.join(str(path) for path, _ in files)}" if files else ""
    return f"{', '.join(parts)} in {seconds:.1f} s ({rate:.1f} photos/s){written}"
