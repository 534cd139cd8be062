"""Where the rows of ``shamisa score`` go: files, standard output, or a table for people."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import click

from shamisa_cli.errors import UsageError

if TYPE_CHECKING:
    from shamisa_cli.commands.ratings import Sidecars
    from shamisa_cli.scoring import Score
    from shamisa_cli.scoring.limits import Limits
    from shamisa_cli.scoring.resume import Earlier
    from shamisa_cli.scoring.rows import Kind, RowFiles, RowStream

    Files = Sequence[tuple[Path, Kind]]
    Sink: TypeAlias = "RowFiles | RowStream | Both | Terminal | Limited | Kept | Sidecars"


@dataclass(frozen=True)
class Shown:
    """Which rows are shown: within ``limits``; with ``sort`` at the end, best first.

    Lines in a pipe say what photos look like that are ``explained``.
    """

    limits: Limits
    sort: bool
    explained: bool = False


def choose_sink(
    files: Files,
    printed: Kind | None,
    earlier: Earlier,
    shown: Shown,
    *,
    content: bool,
    kept: list[Score] | None = None,
) -> Sink:
    """Where rows go: into ``files``, and to standard output as a kind of file or for a reader.

    Files hold all rows. What is printed is as ``shown``; with limits, of a run that has files
    there is something to print too. ``kept`` takes all rows for a report, and then nothing is
    printed for a reader.
    """
    from shamisa_cli.scoring.rows import RowFiles, RowStream

    sink: Sink | None = None
    if files:
        sink = RowFiles(files, earlier.rows, earlier.records, content=content, sort=shown.sort)
    elif content:
        raise UsageError("--check-content is for files of rows: --csv, --json or --jsonl")
    if printed or (kept is None and (shown.limits or not sink)):
        stream = RowStream(_put, printed, sort=shown.sort) if printed else None
        to_screen: Sink = stream or Terminal(shown.sort, shown.explained)
        if shown.limits:
            to_screen = Limited(to_screen, shown.limits, earlier.rows)
        sink = Both(sink, to_screen) if sink else to_screen
    if sink is None or kept is not None:
        return Kept(sink, [] if kept is None else kept, earlier.rows)
    return sink


class Both:
    """Files of rows, and the same rows on standard output."""

    def __init__(self, files: Sink, stream: Sink) -> None:
        self._files, self._stream = files, stream

    def watch(self, photos: Iterable[str]) -> Iterable[str]:
        """``photos``, which are recorded beside the files."""
        return self._files.watch(photos)

    def write(self, row: Score) -> None:
        """Write a row, into the files first."""
        self._files.write(row)
        self._stream.write(row)

    def close(self, *, finished: bool) -> None:
        """Close both, whatever becomes of the other."""
        try:
            self._files.close(finished=finished)
        finally:
            self._stream.close(finished=finished)


class Kept:
    """Rows that are kept in a list for the end of the run, and handed on.

    Parameters
    ----------
    sink : takes the rows too, if there is one.
    rows : the list; it begins with those of an ``earlier`` run.
    """

    def __init__(self, sink: Sink | None, rows: list[Score], earlier: Iterable[Score]) -> None:
        self._sink, self._rows = sink, rows
        rows.extend(earlier)

    def watch(self, photos: Iterable[str]) -> Iterable[str]:
        """``photos``, as the sink watches them."""
        return self._sink.watch(photos) if self._sink else photos

    def write(self, row: Score) -> None:
        """Hand on a row, and keep it."""
        if self._sink:
            self._sink.write(row)
        self._rows.append(row)

    def close(self, *, finished: bool) -> None:
        """Close the sink."""
        if self._sink:
            self._sink.close(finished=finished)


class Terminal:
    """A table on a terminal, plain lines in a pipe; with ``sort``, all at the end, best first.

    In a pipe, lines of ``explained`` photos also say what these look like, and have their notes.
    """

    def __init__(self, sort: bool = False, explained: bool = False) -> None:
        from shamisa_cli.scoring.score import TABLE_HEADER, plain_line, table_line

        self._sort = sort
        self._kept: list[Score] = []
        plain = partial(plain_line, explained=explained)
        self._line = table_line if sys.stdout.isatty() else plain
        if sys.stdout.isatty():
            _print(TABLE_HEADER)

    def watch(self, photos: Iterable[str]) -> Iterable[str]:
        """``photos``: of what is only printed nothing is recorded."""
        return photos

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


class Limited:
    """The rows within limits on standard output; why the others have no score, on standard error.

    Parameters
    ----------
    shown : takes the rows that are shown, and is closed in the end.
    limits : with a ``top`` the rows are shown once all are there.
    earlier : rows of an earlier run, which are shown likewise.
    """

    def __init__(self, shown: Sink, limits: Limits, earlier: Iterable[Score]) -> None:
        self._shown, self._limits = shown, limits
        self._kept: list[Score] = []
        self._scored = self._handed_on = 0
        for row in earlier:
            if not row.failed:
                self.write(row)

    def watch(self, photos: Iterable[str]) -> Iterable[str]:
        """``photos``: nothing is recorded."""
        return photos

    def write(self, row: Score) -> None:
        """Show a row, keep it for the end, or leave it out."""
        from shamisa_cli.scoring.score import printable

        self._scored += not row.failed
        if row.failed:
            tell(f"{printable(row.path)}: {row.error}")
        elif self._limits.between(row):
            if self._limits.top is None:
                self._hand_on([row])
            else:
                self._kept.append(row)

    def close(self, *, finished: bool) -> None:
        """Show what was kept; that nothing is to be shown is told."""
        from shamisa_cli.scoring.limits import shown_rows

        self._hand_on(shown_rows(self._kept, self._limits))
        self._shown.close(finished=finished)
        if finished and self._scored and not self._handed_on:
            tell(f"none of {self._scored} scores is {self._limits}")

    def _hand_on(self, rows: Sequence[Score]) -> None:
        self._handed_on += len(rows)
        for row in rows:
            self._shown.write(row)


def tell(line: str) -> None:
    """A line on stderr, clear of the progress bar there."""
    from tqdm import tqdm

    with tqdm.external_write_mode(file=sys.stderr):
        click.echo(line, err=True)


def _print(line: str) -> None:
    """A line on stdout; odd file names keep their bytes."""
    _put(line.encode("utf-8", "surrogateescape") + b"\n")


def _put(content: bytes) -> None:
    """Write to stdout, clear of the progress bar on stderr."""
    from tqdm import tqdm

    if sys.stdout.isatty():
        with tqdm.external_write_mode(file=sys.stdout):
            click.echo(content, nl=False)
    else:
        click.echo(content, nl=False)
