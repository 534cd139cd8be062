"""``shamisa score``: how good do these photos look?"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from shamisa_cli.commands.limits import limit_options
from shamisa_cli.commands.maps import Explained, explain_options
from shamisa_cli.commands.photo_paths import find_photos, listed_paths
from shamisa_cli.commands.ratings import Sidecars, rating_options
from shamisa_cli.commands.report import make_report, open_report
from shamisa_cli.commands.row_files import earlier_rows, open_row_files
from shamisa_cli.commands.scorer import load_scorer
from shamisa_cli.commands.shards import shard_mode
from shamisa_cli.commands.shared import (
    FILE,
    crops_option,
    device_option,
    follow_links_option,
    head_option,
    model_option,
    option_group,
    overwrite_option,
    recursive_option,
)
from shamisa_cli.commands.sinks import Shown, choose_sink
from shamisa_cli.errors import ShamisaError

if TYPE_CHECKING:
    from shamisa_cli.commands.maps import ExplainRequest
    from shamisa_cli.commands.sinks import Files, Sink
    from shamisa_cli.scoring import Score
    from shamisa_cli.scoring.limits import Limits
    from shamisa_cli.scoring.sidecars import Ratings

    ScoreAll = Callable[[Iterable[str]], Iterator[Score]]


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(readable=False))
@click.option("--csv", type=FILE, help="Write rows to this CSV file; - is standard output.")
@click.option("--json", type=FILE, help="Write rows to this file, as one JSON array.")
@click.option("--jsonl", type=FILE, help="Write rows to this file, one JSON object a line.")
@click.option("--report", type=FILE, help="Write a page to look through the photos (.html).")
@model_option
@head_option
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
    help="Threads that score; with --out processes.  [default: the cores]",
)
@click.option(
    "--short-side", type=click.IntRange(1), metavar="PX", help="Viewing size, at least 128."
)
@click.option("--max-side", type=click.IntRange(1), metavar="PX", help="Same, by the longer side.")
@click.option("--native", is_flag=True, help="Score at native size, in tiles.")
@crops_option
@option_group("how", dict, recursive_option, follow_links_option)
@click.option(
    "--from-file", type=click.File("rb"), metavar="F", help="More PATHS, one a line; - is stdin."
)
@click.option("--null", "-0", is_flag=True, help="PATHS in F end in NUL, as of find -print0.")
@click.option("--resume", is_flag=True, help="Go on with the files of a run that was stopped.")
@click.option("--check-content", is_flag=True, help="--resume compares photos by their content.")
@overwrite_option
@click.option("--sort", is_flag=True, help="Best first, once all are scored.")
@limit_options
@explain_options
@rating_options
@shard_mode
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
    how: dict[str, bool],
    resume: bool,
    check_content: bool,
    overwrite: bool,
    sort: bool,
    limits: Limits,
    asked: ExplainRequest,
    ratings: Ratings | None,
    quiet: bool,
    **options: Any,
) -> None:
    """Score photos from 0 to 100; higher looks better.

    PATHS are photos, folders, or quoted patterns such as '**/*.jpg'; with --out also tars and
    Parquet files. Without --csv, --json, --jsonl, --report or --out scores are printed: a table on
    a terminal, tab-separated lines in a pipe. --top, --below and --above limit that, not files.

    \b
    Exit code: 0 all scored, 1 some failed (each has a row that says why), 2 wrong usage,
    130 after Ctrl-C.
    """
    files, printed = open_row_files(csv, json, jsonl, resume, overwrite)
    again = overwrite or resume
    kept = open_report(report, again)
    photos = find_photos([*paths, *listed_paths(from_file, null)], from_file, quiet, **how)

    from shamisa_cli.scoring.resume import remaining

    scorer = load_scorer(options, quiet)
    earlier = earlier_rows(scorer, files if resume else [], photos, check_content)
    todo = remaining(photos, earlier.rows)
    explained = Explained(scorer, options["model"], asked, photos, earlier.rows, replace=again)
    shown = Shown(limits, sort, asked.explain)
    sink = choose_sink(files, printed, earlier, shown, content=check_content, kept=kept)
    sidecars = Sidecars(sink, ratings, photos, earlier.rows) if ratings else None
    failed = _run(explained.rows, todo, sidecars or sink, files, len(earlier.rows), quiet=quiet)
    if report and kept is not None:
        make_report(kept, report, limits, explained.map_of, options["workers"], quiet=quiet)
    if sidecars:
        failed += sidecars.tell_summary(quiet=quiet)
    if failed + explained.failed:
        sys.exit(1)


def _run(
    score_all: ScoreAll,
    photos: Sequence[str],
    sink: Sink,
    files: Files,
    earlier: int,
    *,
    quiet: bool,
) -> int:
    """Score ``photos`` into ``sink``, with progress and a summary on stderr; how many failed."""
    started = time.monotonic()
    try:
        failed = _score_all(score_all, photos, sink, quiet)
    except (KeyboardInterrupt, ShamisaError):
        if files:
            click.echo("stopped; finished rows are kept, go on with --resume", err=True)
        raise
    if failed or not quiet:
        seconds = time.monotonic() - started
        click.echo(_summary(len(photos), failed, earlier, seconds, files), err=True)
    return failed


def _score_all(score_all: ScoreAll, photos: Sequence[str], sink: Sink, quiet: bool) -> int:
    from shamisa_cli.progress import progress_bar

    failed, finished = 0, False
    try:
        with progress_bar(len(photos), quiet=quiet) as bar:
            for row in score_all(sink.watch(photos)):
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
    rate = f" ({tried / max(seconds, 1e-9):.1f} photos/s)" if tried > failed else ""
    written = f"; rows in {', '.join(str(path) for path, _ in files)}" if files else ""
    return f"{', '.join(parts)} in {seconds:.1f} s{rate}{written}"
