"""``shamisa watch``: photos are scored as they come into a folder."""

from __future__ import annotations

import importlib.util
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shamisa_cli.commands.completion import complete_head
from shamisa_cli.commands.ratings import Sidecars, rating_options
from shamisa_cli.commands.row_files import STANDARD_OUTPUT, earlier_rows, open_row_files
from shamisa_cli.commands.scorer import load_scorer
from shamisa_cli.commands.shared import FILE, device_option, model_option, recursive_option
from shamisa_cli.commands.sinks import Both, Terminal
from shamisa_cli.errors import ShamisaError, UsageError, system_reason

if TYPE_CHECKING:
    from shamisa_cli.commands.sinks import Files, Sink
    from shamisa_cli.scoring import Score, Scorer
    from shamisa_cli.scoring.arrivals import Arrivals
    from shamisa_cli.scoring.rows import RowFiles
    from shamisa_cli.scoring.sidecars import Ratings

AT_ONCE = 32
"""Photos that are scored before the folder is looked at again."""
LONGEST_PAUSE = 30.0
"""s between two looks at the folder, whatever events there are."""
SHORTEST_PAUSE = 0.2
READ_EVENTS = ("opened", "closed_no_write")
"""Of watchdog: those that reading a photo makes."""


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--csv", type=FILE, help="Write rows to this CSV file.")
@click.option("--json", type=FILE, help="Write rows to this file, as one JSON array.")
@click.option("--jsonl", type=FILE, help="Write rows to this file, one JSON object a line.")
@model_option
@click.option(
    "--head",
    shell_complete=complete_head,
    help="Which head of the model.  [default: the model's own]",
)
@device_option
@recursive_option
@click.option(
    "--steady",
    type=click.FloatRange(0.05),
    default=2.0,
    show_default=True,
    metavar="S",
    help="Seconds for which a file must not have changed.",
)
@click.option(
    "--poll",
    type=click.FloatRange(0.05),
    metavar="S",
    help="Look every S seconds, for network folders, which tell of no changes.",
)
@rating_options
@click.option("--quiet", is_flag=True, help="Print no rows, and say nothing at the start.")
def watch(
    folder: Path,
    csv: Path | None,
    json: Path | None,
    jsonl: Path | None,
    recursive: bool,
    steady: float,
    poll: float | None,
    ratings: Ratings | None,
    quiet: bool,
    **options: Any,
) -> None:
    """Score the photos of FOLDER, and those that come into it, until Ctrl-C.

    Rows are printed, and added to a file (--csv, --json or --jsonl). Photos that have a row there
    are scored again only if they were replaced. Needs: pip install 'shamisa[watch]', or --poll.

    \b
    shamisa watch uploads/ --csv out.csv

    Exit code: 130 after Ctrl-C, 0 after SIGTERM, 1 if the folder vanishes, 2 wrong usage.
    """
    if poll is None and importlib.util.find_spec("watchdog") is None:
        raise UsageError("watch needs watchdog: pip install 'shamisa[watch]'; or give --poll 2")
    if not folder.is_dir():
        problem = "is a file, not a folder" if folder.exists() else "no such folder"
        raise UsageError(f"{folder}: {problem}; point it at a folder of photos")
    if not any((csv, json, jsonl)) or any(str(f) in STANDARD_OUTPUT for f in (csv, json, jsonl)):
        raise UsageError("rows need a file that is kept: give --csv, --json or --jsonl a name")
    files, _ = open_row_files(csv, json, jsonl, resume=True, overwrite=False)
    scorer = load_scorer(options, quiet)

    from shamisa_cli.scoring.arrivals import Arrivals

    arrivals = Arrivals(folder, recursive=recursive, steady=steady)
    rows = _Rows(scorer, files, ratings, quiet)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # to be stopped is no failure
    try:
        there = arrivals.look()
        rows.open(there, there)
        for path in filter(rows.has, there):
            arrivals.settle(path)
        with _polling(poll) if poll else _events(folder, recursive) as wait:
            if not quiet:
                click.echo(f"watching {folder}; Ctrl-C ends", err=True)
            while True:
                _catch_up(scorer, arrivals, rows)
                wait(arrivals.pause())
    finally:
        rows.close()


def _catch_up(scorer: Scorer, arrivals: Arrivals, rows: _Rows) -> None:
    """Score photos that are ready, so many that new ones need not wait long."""
    there = arrivals.look()
    ready = arrivals.ready()[:AT_ONCE]
    if not ready:
        return
    photos = rows.expect(ready, there)
    for path in set(ready).difference(photos):
        arrivals.settle(path)
    for path, row in zip(photos, scorer.score_many(rows.sink.watch(photos)), strict=True):
        if row.failed and arrivals.try_again(path):
            rows.pass_over()
        else:
            rows.write(row)
            arrivals.settle(path)


class _Rows:
    """The rows of all photos so far, in files, on standard output and in sidecars.

    State: the open files, and which photos have a row there.
    """

    def __init__(self, scorer: Scorer, files: Files, ratings: Ratings | None, quiet: bool) -> None:
        self._scorer, self._files, self._ratings = scorer, files, ratings
        self._terminal = None if quiet else Terminal(sort=False)
        self._in_files: RowFiles | None = None
        self._known: set[str] = set()
        self.sink: Sink

    def open(self, photos: Sequence[str], there: Sequence[str]) -> None:
        """Open the files; rows of ``photos`` that were replaced or failed are taken out.

        ``there`` are all photos of the folder. Those of ``photos`` that keep their rows get the
        sidecars that they lack; sidecars of others are not read.
        """
        from shamisa_cli.scoring.resume import photo_key
        from shamisa_cli.scoring.rows import RowFiles

        earlier = earlier_rows(self._scorer, self._files, photos, check_content=False)
        self._in_files = RowFiles(self._files, earlier.rows, earlier.records)
        self._known = {photo_key(row.path) for row in earlier.rows}
        self.sink = Both(self._in_files, self._terminal) if self._terminal else self._in_files
        if self._ratings:
            asked = set(map(photo_key, photos))
            stay = [row for row in earlier.rows if photo_key(row.path) in asked]
            self.sink = Sidecars(self.sink, self._ratings, there, stay)
            self.sink.rate_earlier()

    def has(self, path: str) -> bool:
        """Whether ``path`` has a row."""
        from shamisa_cli.scoring.resume import photo_key

        return photo_key(path) in self._known

    def expect(self, photos: Sequence[str], there: Sequence[str]) -> list[str]:
        """Make way for rows of ``photos``, of all that are ``there``; returns those to score.

        One that has its row, and is what it was then, came back: its row stays.
        """
        if any(map(self.has, photos)):  # they were replaced, or came back
            self.close()
            self.open(photos, there)
        elif isinstance(self.sink, Sidecars):
            self.sink.expect(there)
        return [path for path in photos if not self.has(path)]

    def write(self, row: Score) -> None:
        """Add a row."""
        from shamisa_cli.scoring.resume import photo_key

        self.sink.write(row)
        self._known.add(photo_key(row.path))

    def pass_over(self) -> None:
        """Of the next photo there is no row yet."""
        if self._in_files is not None:
            self._in_files.pass_over()

    def close(self) -> None:
        """Close the files."""
        if self._in_files is not None:
            self._in_files.close(finished=False)
            self._in_files = None


Wait = Callable[[float | None], object]
"""Waits until the folder may have changed, or for so many seconds; None for no such limit."""


@contextmanager
def _polling(every: float) -> Iterator[Wait]:
    yield lambda pause: time.sleep(every)


@contextmanager
def _events(folder: Path, recursive: bool) -> Iterator[Wait]:
    """Waits for what the system tells of ``folder``."""
    from watchdog.events import FileSystemEvent, FileSystemEventHandler
    from watchdog.observers import Observer

    changed = threading.Event()

    class Handler(FileSystemEventHandler):
        def on_any_event(self, event: FileSystemEvent) -> None:
            if event.event_type not in READ_EVENTS:
                changed.set()

    def wait(pause: float | None) -> None:
        changed.wait(LONGEST_PAUSE if pause is None else min(pause, LONGEST_PAUSE))
        time.sleep(SHORTEST_PAUSE)  # what is being written changes many times a second
        changed.clear()

    observer = Observer()
    observer.schedule(Handler(), str(folder), recursive=recursive)
    try:
        observer.start()
    except OSError as error:
        raise ShamisaError(
            f"{folder}: cannot be watched: {system_reason(error)}; give --poll 2"
        ) from error
    try:
        yield wait
    finally:
        observer.stop()
        observer.join()
