"""What is asked of rows that stay: as numbers, and as a person writes them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from shamisa_cli.errors import UsageError, unknown_name

STATUSES = ("ok", "padded", "clipped", "failed")
"""Of these a row's status is made; ``+`` joins two."""

SCORED = STATUSES[:-1]


@dataclass(frozen=True)
class Top:
    """The best so many rows, or so large a ``share`` of the rows that pass all else."""

    count: int = 0
    share: Fraction | None = None

    def of(self, rows: int) -> int:
        """How many of ``rows`` that is; a share is rounded up.

        Examples
        --------
        >>> read_top("30%").of(10), read_top("30%").of(11), read_top("30").of(10)
        (3, 4, 10)
        """
        return min(rows, self.count if self.share is None else math.ceil(rows * self.share))


@dataclass(frozen=True)
class Between:
    """Rows whose ``column`` lies between two of its quantiles, both included.

    Quantile q of a column is its smallest value that has a share of at least q of all values at or
    below it, counted over rows of the right status that have a value.
    """

    column: str
    low: Fraction
    high: Fraction


@dataclass(frozen=True)
class Criteria:
    """All that a row that stays must pass.

    Attributes
    ----------
    minimum, maximum : of the score, both included.
    top : the best of those that pass all else.
    statuses : names of :data:`STATUSES`; all of a row's must be among them.
    quantiles : of columns of numbers.
    """

    minimum: float | None = None
    maximum: float | None = None
    top: Top | None = None
    statuses: tuple[str, ...] = SCORED
    quantiles: tuple[Between, ...] = ()

    def __post_init__(self) -> None:
        for name, value in (("min", self.minimum), ("max", self.maximum)):
            if value is not None and not math.isfinite(value):
                raise UsageError(f"{name} {value}: must be a number, such as 60")
        if None not in (self.minimum, self.maximum) and self.minimum > self.maximum:  # type: ignore[operator]
            raise UsageError(
                f"min {self.minimum:g} is above max {self.maximum:g}: no row could stay"
            )
        for status in self.statuses:
            if status not in STATUSES:
                raise unknown_name("status", status, STATUSES)

    @property
    def by_score(self) -> bool:
        """Whether rows without a score cannot stay."""
        return self.minimum is not None or self.maximum is not None or self.top is not None

    @property
    def texts(self) -> tuple[str, ...]:
        """What the status column of rows that stay can hold."""
        both = "padded+clipped"
        joined = (both,) if set(both.split("+")) <= set(self.statuses) else ()
        return (*self.statuses, *joined)


def read_top(text: str) -> Top:
    """``1000`` or ``30%``.

    Raises
    ------
    UsageError
        if it is neither.
    """
    wrong = UsageError(f"top {text}: must be a number of rows, or a share such as 30%")
    try:
        if not text.endswith("%"):
            top = Top(count=int(text))
            if top.count < 1:
                raise wrong
            return top
        share = Fraction(text[:-1].strip()) / 100
    except (ValueError, ZeroDivisionError):
        raise wrong from None
    if not 0 < share <= 1:
        raise UsageError(f"top {text}: a share must be above 0% and at most 100%")
    return Top(share=share)


def read_between(text: str) -> Between:
    """``COLUMN:LOW-HIGH``, such as ``width:0.5-1``: from the median on.

    Raises
    ------
    UsageError
        if it is something else.

    Examples
    --------
    >>> read_between("width:0.5-1")
    Between(column='width', low=Fraction(1, 2), high=Fraction(1, 1))
    """
    column, _, range_ = text.rpartition(":")
    low, dash, high = range_.partition("-")
    try:
        if not (column and dash):
            raise ValueError
        between = Between(column, Fraction(low.strip()), Fraction(high.strip()))
    except (ValueError, ZeroDivisionError):
        raise UsageError(
            f"quantile {text}: must be COLUMN:LOW-HIGH, such as width:0.5-1 (the wider half)"
        ) from None
    if not 0 <= between.low <= between.high <= 1:
        raise UsageError(f"quantile {text}: LOW and HIGH must be in order, from 0 to 1")
    return between


def rank_of(quantile: Fraction, count: int) -> int:
    """How many of ``count`` sorted values stand before ``quantile`` of them.

    Examples
    --------
    >>> rank_of(Fraction(1, 2), 4), rank_of(Fraction(0), 4), rank_of(Fraction(1), 4)
    (1, 0, 3)
    """
    return max(0, math.ceil(quantile * count) - 1)


def columns_of(quantiles: Iterable[Between]) -> list[str]:
    """The columns that are asked about, each once."""
    return list(dict.fromkeys(each.column for each in quantiles))
