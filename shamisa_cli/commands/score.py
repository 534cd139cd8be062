"""``shamisa score``: how good do these photos look?"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from shamisa_cli.commands.completion import complete_head
from shamisa_cli.commands.report import make_report, prepare_report
from shamisa_cli.commands.shared import (
    FILE,
    PassedBy,
    crops_option,
    device_option,
    flags_for,
    follow_links_option,
    model_option,
    overwrite_option,
    recursive_option,
)
from shamisa_cli.commands.sinks import choose_sink
from shamisa_cli.errors import ShamisaError, UsageError, WeightsError

if TYPE_CHECKING:
    from shamisa_cli.commands.sinks import Files, Sink
    from shamisa_cli.scoring import Scorer
    from shamisa_cli.scoring.resume import Earlier
    from shamisa_cli.scoring.rows import Kind

STANDARD_OUTPUT = ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")
"""Files of rows that are none: the rows are printed."""
DEVICES = (Path("/dev"), Path("/dev/fd"), Path("/proc/self/fd"))


@click.command()
@click.argument("paths", nargs=-1, type=click.Path())
@click.option("--csv", type=FILE, help="Write rows to this CSV file; - is standard output.")
@click.option("--json", type=FILE, help="Write rows to this file, as one JSON array.")
@click.option("--jsonl", type=FILE, help="Write rows to this file, one JSON object a line.")
@click.option("--report", type=FILE, help="Write a page to look through the photos (.html).")
@model_option
@click.option(
    "--head",
    shell_complete=complete_head,
    help="Which head of the model.  [default: the model's own]",
)
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
@click.option(
    "--from-file", type=click.File("rb"), metavar="F", help="More PATHS, one a line; - is stdin."
)
@click.option("--null", "-0", is_flag=True, help="PATHS in F end in NUL, as of find -print0.")
@click.option("--resume", is_flag=True, help="Go on with the files of a run that was stopped.")
@click.option("--check-content", is_flag=True, help="--resume compares photos by their content.")
@overwrite_option
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
    report: Path | None,
    from_file: BinaryIO | None,
    null: bool,
    recursive: bool,
    follow_links: bool,
    resume: bool,
    check_content: bool,
    overwrite: bool,
    sort: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Score photos from 0 to 100; higher looks better.

    PATHS are photos, folders, or quoted patterns such as '**/*.jpg'. Without --csv, --json,
    --jsonl or --report the scores are printed: a table on a terminal, tab-separated lines (score,
    status, path) in a pipe.

    \b
    Exit code: 0 all scored, 1 some failed (each has a row that says why), 2 wrong usage,
    130 after Ctrl-C.
    """
    files, printed = _files(csv, json, jsonl, resume, overwrite)
    if report:
        prepare_report(report, overwrite or resume)
    listed = _listed(from_file, null)
    how = {"recursive": recursive, "follow_links": follow_links}
    photos = _photos([*paths, *listed], from_file, quiet, **how)

    from shamisa_cli.scoring.resume import remaining

    scorer = _load(options, quiet)
    earlier = _earlier(scorer, files if resume else [], photos, check_content)
    todo = remaining(photos, earlier.rows)
    rows = list(earlier.rows) if report else None
    sink = choose_sink(files, printed, earlier, content=check_content, sort=sort, kept=rows)
    started = time.monotonic()
    try:
        failed = _run(scorer, todo, sink, quiet=quiet)
    except (KeyboardInterrupt, ShamisaError):
        if files:
            click.echo("stopped; finished rows are kept, go on with --resume", err=True)
        raise
    if failed or not quiet:
        seconds = time.monotonic() - started
        click.echo(_summary(len(todo), failed, len(earlier.rows), seconds, files), err=True)
    if report and rows is not None:
        make_report(rows, report, workers=options["workers"], quiet=quiet)
    if failed:
        sys.exit(1)


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


def _files(
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


def _earlier(scorer: Scorer, files: Files, photos: Sequence[str], check_content: bool) -> Earlier:
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


def _listed(from_file: BinaryIO | None, null: bool) -> list[str]:
    """The paths in a list: one a line, or with ``null`` each ended by a NUL."""
    if from_file is None:
        if null:
            raise UsageError("--null is for a list of paths: --from-file F, - for standard input")
        return []
    text = from_file.read().decode("utf-8", "surrogateescape")
    if "\0" in text and not null:
        raise UsageError(f"{_name(from_file)}: has NULs, as find -print0 writes them; add -0")
    lines = text.split("\0") if null else [line.rstrip("\r") for line in text.split("\n")]
    return [line for line in lines if line]


def _name(file: BinaryIO) -> str:
    return getattr(file, "name", "<stdin>")


def _photos(
    asked: Sequence[str], from_file: BinaryIO | None, quiet: bool, **how: bool
) -> list[str]:
    """The photos to score, in order; ``how`` folders are searched is as in :func:`expand_paths`.

    Of a photo that is written in two ways the first counts; one that is listed twice has two rows.
    A folder or list without any is told, and what folders have beside photos.
    """
    from shamisa_cli.imaging.paths import expand_paths
    from shamisa_cli.scoring.resume import photo_key

    if not asked:
        where = f"{_name(from_file)} is empty" if from_file else "no photos given"
        raise UsageError(f"{where}: shamisa score PHOTO_OR_FOLDER … (or see it work: shamisa demo)")
    photos: list[str] = []
    written: dict[str, str] = {}
    passed_by = PassedBy()
    for path in asked:
        found = list(expand_paths([path], pass_by=passed_by, **how))
        if not found:
            click.echo(f"{path}: no photos in this folder", err=True)
        photos += [each for each in found if written.setdefault(photo_key(each), each) == each]
    if not (photos and quiet):
        passed_by.tell()
    if not photos:
        raise UsageError("nothing to score")
    return photos


def _run(scorer: Scorer, photos: Sequence[str], sink: Sink, *, quiet: bool) -> int:
    """Score ``photos`` into ``sink``, with progress on stderr; returns how many failed."""
    from shamisa_cli.progress import progress_bar

    failed, finished = 0, False
    try:
        with progress_bar(len(photos), quiet=quiet) as bar:
            for row in scorer.score_many(sink.watch(photos)):
                sink.write(row)
                failed += row.failed
                if failed:
                    bar.set_postfix_str(f"{failed} failed", refresh=False)
                bar.update()
        finished = True
    finally:
        sink.close(finished=finished)
    return failed


def _summary(tried: int, failed: int, earlier: int, seconds: float, files: Files) -> str:
    """The last line: how many, how fast, where."""
    parts = [f"{tried - failed} scored", f"{failed} failed"]
    if earlier:
        parts.append(f"{earlier} already there")
    rate = tried / max(seconds, 1e-9)
    written = f"; rows in {', '.join(str(path) for path, _ in files)}" if files else ""
    return f"{', '.join(parts)} in {seconds:.1f} s ({rate:.1f} photos/s){written}"
