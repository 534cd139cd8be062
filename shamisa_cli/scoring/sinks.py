"""Where rows go while they are made: into files, or onto the terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

import click
from tqdm import tqdm

from shamisa_cli.scoring.rows import Kind, RowFile
from shamisa_cli.scoring.score import Score
from shamisa_cli.scoring.table import TABLE_HEADER, best_first, plain_line, table_line


class Sink(Protocol):
    """Takes rows one by one."""

    def write(self, row: Score) -> None:
        """Take one row."""

    def close(self, *, finished: bool) -> None:
        """The end, ``finished`` or stopped before."""


class FileSink:
    """Files of rows, all of them whole after every row.

    Parameters
    ----------
    files : paths and kinds.
    earlier : rows of an earlier run that stay.
    sort : put the rows in order, best first, once all are there; a run that is stopped before has
        them in the order in which they were made.
    """

    def __init__(
        self, files: Iterable[tuple[Path, Kind]], earlier: Sequence[Score], *, sort: bool
    ) -> None:
        self._outputs = [RowFile(path, kind, earlier) for path, kind in files]
        self._sort = sort
        self._kept = list(earlier)

    def write(self, row: Score) -> None:
        """Add a row to every file."""
        for output in self._outputs:
            output.write(row)
        if self._sort:
            self._kept.append(row)

    def close(self, *, finished: bool) -> None:
        """Close the files, in order if that was asked for."""
        rows = best_first(self._kept) if finished and self._sort else None
        for output in self._outputs:
            output.close(rows)


class TerminalSink:
    """A table on a terminal, plain lines in a pipe; with ``sort``, all at the end, best first."""

    def __init__(self, *, sort: bool) -> None:
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
        for row in best_first(self._kept):
            _print(self._line(row))


def _print(line: str) -> None:
    """A line on stdout, clear of the progress bar on stderr; odd file names keep their bytes."""
    if sys.stdout.isatty():
        tqdm.write(line, file=sys.stdout)
    else:
        click.echo(line.encode("utf-8", "surrogateescape"))
