"""How far a long command is: a bar on a terminal; in a log, a line a minute."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from tqdm import tqdm
    from typing_extensions import Self

EVERY = 60.0
"""Seconds between two lines in a log."""

SHARE_BAR = "{percentage:3.0f}%|{bar}| {remaining} left{postfix}"
RUNS_BAR = "{desc}: {percentage:3.0f}%|{bar}| {n:.1f}/{total:.0f} [{elapsed}<{remaining}{postfix}]"
_SHARE_BAR_WIDTH = len("100%|12345678| 12:34:56 left, ")


def progress_bar(
    total: float,
    what: str = "",
    *,
    unit: str = "photo",
    initial: float = 0,
    runs: bool = False,
    quiet: bool = False,
    clock: Callable[[], float] = time.monotonic,
) -> tqdm | ProgressLines:
    """Progress on standard error: a bar if that is a terminal, else :class:`ProgressLines`.

    Parameters
    ----------
    total : of the units that ``update`` counts.
    what : a word in front.
    unit : of the count; "" for a share of ``total``, such as of a run that ends by the clock.
    runs : whether a unit is a run, which may be partly done.
    initial : what is done before.
    quiet : show nothing.
    clock : of the lines, s.
    """
    from tqdm import tqdm

    if not (quiet or sys.stderr.isatty()):
        return ProgressLines(total, what, unit, initial, clock, sys.stderr)
    shape: dict[str, Any] = {"bar_format": RUNS_BAR} if runs else {}
    if not unit:
        shape = {"bar_format": SHARE_BAR, "miniters": 0}
    return tqdm(
        total=total,
        desc=what,
        unit=unit,
        initial=initial,
        disable=quiet,
        nrows=24,  # where a terminal has no height, tqdm would show nothing
        **shape,
    )


class ProgressLines:
    """A line each minute, the first after one; with the methods of a tqdm bar that we use.

    The time left is told from the second update on, by what was done since the first.
    State: what is done, after the first update and now, and when that was last told.
    """

    def __init__(
        self,
        total: float,
        what: str,
        unit: str,
        initial: float,
        clock: Callable[[], float],
        file: TextIO,
    ) -> None:
        self.n = initial
        self._total, self._what, self._unit = total, what, unit
        self._clock, self._file = clock, file
        self._first: tuple[float, float] | None = None
        self._told = clock()
        self._note = ""

    def update(self, n: float = 1) -> None:
        """``n`` more are done."""
        self.n += n
        now = self._clock()
        self._first = self._first or (self.n, now)  # what came before may be other work
        if now - self._told >= EVERY:
            self._told = now
            print(self._line(now), file=self._file, flush=True)

    def set_postfix_str(self, note: str, refresh: bool = True) -> None:
        """What the next line ends with."""
        self._note = note

    def close(self) -> None:
        """Nothing is left to tell."""

    def __enter__(self) -> ProgressLines:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _line(self, now: float) -> str:
        from tqdm import tqdm

        count = f"{self.n:.0f} of {self._total:.0f} {self._unit}s" if self._unit else ""
        left, (done, since) = "", self._first or (self.n, now)
        if self.n > done:
            more = max(0.0, self._total - self.n) / (self.n - done)
            left = f"{tqdm.format_interval(more * (now - since))} left"
        parts = (self._what, count, f"{self.n / self._total:.0%}", left, self._note)
        return ", ".join(part for part in parts if part)


class RunsProgress:
    """Several runs on standard error, a bar with a unit a run. State: the bar, and runs done."""

    def __init__(self, what: str, unit: str, runs: int, *, quiet: bool) -> None:
        self.quiet = quiet
        self.runs = runs
        self.bar = progress_bar(runs, what, unit=unit, runs=True, quiet=quiet)
        self.done = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def say(self, message: str) -> None:
        """One line, above the bar."""
        if not self.quiet:
            say_above_bar(message)

    def within(self, share: float) -> None:
        """So much of the next run is done, 0 to 1."""
        self.bar.update(self.done + share - self.bar.n)

    def run_ended(self) -> None:
        """Move the bar to the end of a run."""
        self.done += 1
        self.within(0)


def facts_that_fit(facts: Iterable[str]) -> str:
    """As many of ``facts``, the first ones first, as a bar of shares has room for on its line."""
    import shutil

    columns = shutil.get_terminal_size().columns if sys.stderr.isatty() else 1000
    shown = ""
    for fact in facts:
        longer = f"{shown}, {fact}" if shown else fact
        if len(longer) > columns - _SHARE_BAR_WIDTH:
            break
        shown = longer
    return shown


def say_above_bar(message: str) -> None:
    """One line on standard error, clear of any bar."""
    from tqdm import tqdm

    tqdm.write(message, file=sys.stderr)


def say_skipped(error: Exception) -> None:
    """Say on standard error why a photo was left out, clear of any bar."""
    say_above_bar(f"skipped {error}")
