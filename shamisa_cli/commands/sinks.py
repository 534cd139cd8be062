"""Where the rows of ``shamisa score`` go: files, standard output, or a table for people."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import click

from shamisa_cli.errors import UsageError

if TYPE_CHECKING:
    from shamisa_cli.scoring import Score
    from shamisa_cli.scoring.resume import Earlier
    from shamisa_cli.scoring.rows import Kind, RowFiles, RowStream

    Files = Sequence[tuple[Path, Kind]]
    Sink: TypeAlias = "RowFiles | RowStream | Both | Kept | Terminal"


def choose_sink(
    files: Files,
    printed: Kind | None,
    earlier: Earlier,
    *,
    content: bool,
    sort: bool,
    kept: list[Score] | None = None,
) -> Sink:
    """Where rows go: into ``files``, and to standard output as a kind of file or for a reader.

    ``kept`` takes the rows for a report, and then none are printed for a reader.
    """
    from shamisa_cli.scoring.rows import RowFiles, RowStream

    in_files = None
    if files:
        in_files = RowFiles(files, earlier.rows, earlier.records, content=content, sort=sort)
    elif content:
        raise UsageError("--check-content is for files of rows: --csv, --json or --jsonl")
    stream = RowStream(_put, printed, sort=sort) if printed else None
    sink = Both(in_files, stream) if in_files and stream else in_files or stream
    if kept is not None:
        return Kept(sink, kept)
    return sink or Terminal(sort=sort)


class Both:
    """Files of rows, and the same rows on standard output."""

    def __init__(self, files: RowFiles, stream: RowStream) -> None:
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
    """Rows that are kept in a list for the end of the run, and handed on to ``sink`` if any."""

    def __init__(self, sink: RowFiles | RowStream | Both | None, rows: list[Score]) -> None:
        self._sink, self._rows = sink, rows

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
    """A table on a terminal, plain lines in a pipe; with ``sort``, all at the end, best first."""

    def __init__(self, *, sort: bool) -> None:
        from shamisa_cli.scoring.score import TABLE_HEADER, plain_line, table_line

        self._sort = sort
        self._kept: list[Score] = []
        self._line = table_line if sys.stdout.isatty() else plain_line
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
