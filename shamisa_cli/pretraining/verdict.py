"""Collapse, plateau or progress: what the log of a run says, in a word."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

LEFT = 1 / 3
"""Share of its highest so far, below which the rank of z or the distance of its pairs collapsed."""
MIN_STEPS = 16
"""Fewer say nothing of plateau or progress."""
_COLLAPSING = {
    "distance_z": "the mean squared distance of all pairs of z",
    "rank_z": "the effective rank of z",
}
"""Keys of a log record, and what they are."""
_SURE = 2.0
"""Standard errors by which the loss must have fallen."""


@dataclass(frozen=True)
class Verdict:
    """How a run goes, and by what that is told."""

    word: Literal["collapse", "plateau", "progress", "too short to tell"]
    why: str


def verdict(records: Sequence[Mapping[str, Any]]) -> Verdict:
    """What ``records``, a run's log, say; the first of these that holds.

    - collapse: at the last measurement the mean squared distance of all pairs of z (unit vectors)
      is below a third of the highest so far, or its effective rank is. Both are needed: the noise
      that is left at one place has a high rank.
    - too short to tell: below :data:`MIN_STEPS` steps.
    - progress: the mean total loss of the last quarter of the steps is below that of the quarter
      before, by more than two standard errors of the difference.
    - plateau: else.
    """
    collapsed = _collapse(records)
    if collapsed:
        return Verdict("collapse", collapsed)
    if len(records) < MIN_STEPS:
        return Verdict("too short to tell", f"{len(records)} steps")
    quarter = len(records) // 4
    totals = np.array([record["total"] for record in records[-2 * quarter :]])
    before, after = totals[:quarter], totals[quarter:]
    fell = before.mean() - after.mean()
    error = math.sqrt((before.var(ddof=1) + after.var(ddof=1)) / quarter)
    why = f"over the last two quarters of the run the loss fell by {fell:.3g} (± {error:.2g})"
    return Verdict("progress" if fell > _SURE * error else "plateau", why)


def _collapse(records: Sequence[Mapping[str, Any]]) -> str:
    """Why the last measurement is of a collapse; "" if it is not."""
    for key, what in _COLLAPSING.items():
        values = [record[key] for record in records if key in record]
        if values and values[-1] < LEFT * max(values):
            return f"{what} fell from {max(values):.3g} to {values[-1]:.3g}"
    return ""
