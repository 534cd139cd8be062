"""Where a score stands among those of a stated set of photos: "better than 71 % of them"."""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from itertools import pairwise

PERCENTILES = 101
"""Scores in a table: those at 0 %, 1 %, … 100 %."""


@dataclass(frozen=True)
class Everyday:
    """Scores of a set of photos, as a table of percentiles.

    Attributes
    ----------
    photos : which they are, for people, such as ``650 photos of LIVE In the Wild``.
    scores : (101,) within 0-100, none below the one before: the lowest score, that below which
        1 % of the photos lie, and so on up to the highest.

    Examples
    --------
    >>> table = Everyday("photos of a phone", tuple(40 + n / 5 for n in range(101)))
    >>> table.better_than(50), table.better_than(10), table.better_than(90)
    (50.0, 0.0, 100.0)
    """

    photos: str
    scores: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.photos:
            raise ValueError("everyday: photos must say which photos they are")
        if len(self.scores) != PERCENTILES:
            raise ValueError(f"everyday: expected {PERCENTILES} scores, got {len(self.scores)}")
        if not all(math.isfinite(score) and 0 <= score <= 100 for score in self.scores):
            raise ValueError("everyday: scores must be within 0-100")
        if any(after < before for before, after in pairwise(self.scores)):
            raise ValueError("everyday: scores must rise from percentile to percentile")

    def better_than(self, score: float) -> float:
        """The percentage of these photos that score below ``score``."""
        above = bisect_left(self.scores, score)  # the first that is not below it
        if above in (0, PERCENTILES):
            return 100.0 if above else 0.0
        low, high = self.scores[above - 1 : above + 1]
        return above - 1 + (score - low) / (high - low)
