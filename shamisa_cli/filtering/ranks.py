"""Exact order statistics of numbers that stream by a few times, in memory that does not grow.

A number of 64 bits is found 16 bits a pass: a histogram of the next 16 bits says in which bin the
rank lies, and the next pass looks only into that bin. Once a bin has few numbers they are kept and
sorted. So two passes do for some million numbers, and five for any.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.uint64]

DIGIT = 16
"""Bits of a histogram."""

FEW = 1 << 20
"""So many numbers are kept and sorted: 8 MB."""

_SIGN = np.uint64(1 << 63)


def codes_of(values: NDArray[np.float64]) -> Codes:
    """Numbers of 64 bits in the order of finite ``values``; 0.0 and -0.0 have one code.

    The bits of an IEEE 754 number grow with it; those of negative ones fall, and are turned around.
    """
    bits = (np.asarray(values, np.float64) + 0.0).view(np.uint64)
    return np.where(bits & _SIGN, ~bits, bits | _SIGN)


def value_of(code: int) -> float:
    """The value whose code it is."""
    bits = np.array(code, np.uint64)
    return float(np.where(bits & _SIGN, bits & ~_SIGN, ~bits).view(np.float64))


class RankFinder:
    """Finds the number of one rank; state: the bits that are known, and the bin they name.

    Parameters
    ----------
    rank : how many of ``count`` numbers come before the one that is looked for.
    few : so many numbers are kept and sorted.

    Attributes
    ----------
    found : the number; None before it is known, and if there are none at all.
    count : of all numbers.
    below, equal : how many are smaller than ``found``, and how many are the same.
    """

    def __init__(self, rank: Callable[[int], int], few: int = FEW) -> None:
        self.found: int | None = None
        self.count = self.below = self.equal = 0
        self.done = False
        self._rank_of = rank
        self._few = few
        self._first = True
        self._shift = 64  # bits that are not yet known
        self._prefix = 0
        self._rank = 0  # within the bin
        self._kept: list[Codes] | None = None
        self._histogram = np.zeros(1 << DIGIT, np.int64)

    def feed(self, codes: Codes) -> None:
        """The next numbers of this pass."""
        if self._first:
            self.count += len(codes)
        else:
            codes = codes[codes >> np.uint64(self._shift) == np.uint64(self._prefix)]
        if self._kept is not None:
            self._kept.append(codes)
            return
        digits = codes >> np.uint64(self._shift - DIGIT) & np.uint64((1 << DIGIT) - 1)
        self._histogram += np.bincount(digits.astype(np.int64), minlength=1 << DIGIT)

    def end_pass(self) -> None:
        """All numbers have been fed once more."""
        if self._first:
            self._first = False
            if not self.count:
                self.done = True
                return
            self._rank = self.below = self._rank_of(self.count)
        if self._kept is not None:
            self._finish(np.concatenate(self._kept))
        else:
            self._narrow()

    def _narrow(self) -> None:
        ends = self._histogram.cumsum()
        digit = int(np.searchsorted(ends, self._rank, side="right"))
        inside = int(self._histogram[digit])
        self._rank -= int(ends[digit]) - inside
        self._prefix = self._prefix << DIGIT | digit
        self._shift -= DIGIT
        self._histogram[:] = 0
        if self._shift == 0:
            self.found, self.equal, self.done = self._prefix, inside, True
            self.below -= self._rank
        elif inside <= self._few:
            self._kept = []

    def _finish(self, kept: Codes) -> None:
        found = np.partition(kept, self._rank)[self._rank]
        self.found, self.equal, self.done = int(found), int((kept == found).sum()), True
        self.below -= self._rank - int((kept < found).sum())
        self._kept = None


def find_ranks(
    finders: Sequence[RankFinder], read: Callable[[], Iterable[Sequence[Codes]]]
) -> None:
    """Feed ``finders`` with passes until each is done.

    ``read`` begins a pass and gives batches: for each of ``finders`` the next numbers of its own.
    """
    while not all(finder.done for finder in finders):
        for batch in read():
            for finder, codes in zip(finders, batch, strict=True):
                if not finder.done:
                    finder.feed(codes)
        for finder in finders:
            if not finder.done:
                finder.end_pass()
