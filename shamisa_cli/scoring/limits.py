"""Which rows people are shown: the best few, or those below or above a score."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from shamisa_cli.errors import UsageError
from shamisa_cli.scoring.score import Score, best_first


@dataclass(frozen=True)
class Limits:
    """What is shown of rows; files always hold all of them.

    Attributes
    ----------
    top : so many of the rows between the bounds, the best ones; None for all.
    below, above : scores; a row on a bound itself is not shown.
    """

    top: int | None = None
    below: float | None = None
    above: float | None = None

    def __post_init__(self) -> None:
        if self.top is not None and self.top < 1:
            raise UsageError(f"top must be at least 1, got {self.top}")
        for name, bound in (("below", self.below), ("above", self.above)):
            if bound is not None and not 0 <= bound <= 100:
                raise UsageError(f"{name} must be a score from 0 to 100, got {bound:g}")
        if self.below is not None and self.above is not None and self.above >= self.below:
            raise UsageError(
                f"no score is above {self.above:g} and below {self.below:g}: above must be the "
                "lower one"
            )

    def __bool__(self) -> bool:
        """Whether anything is left out."""
        return self != Limits()

    def __str__(self) -> str:
        """The bounds in words."""
        bounds = (("above", self.above), ("below", self.below))
        return " and ".join(f"{name} {bound:g}" for name, bound in bounds if bound is not None)

    def between(self, row: Score) -> bool:
        """Whether ``row`` has a score, and it lies between the bounds."""
        if row.score is None:
            return False
        over = self.above is None or row.score > self.above
        return over and (self.below is None or row.score < self.below)


def shown_rows(rows: Iterable[Score], limits: Limits) -> list[Score]:
    """The ``rows`` within ``limits``: in their order or, with a ``top``, the best first.

    Failed photos are not among them, unless ``limits`` leave nothing out.
    """
    if not limits:
        return list(rows)
    between = [row for row in rows if limits.between(row)]
    return between if limits.top is None else best_first(between)[: limits.top]
