"""How fast a run is, by when its parts were written: whoever looks at the folder can tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

RECENT = 64
"""So many of the newest parts say how fast a run is now."""


@dataclass(frozen=True)
class Pace:
    """How fast a run is.

    Attributes
    ----------
    rate : photos/s, of all workers together.
    left : s until the shards that have no part yet would be done at this rate.
    idle : s since the newest part.
    """

    rate: float
    left: float
    idle: float


def pace_of(parts: Sequence[tuple[float, int]], shards_left: int, now: float) -> Pace | None:
    """The pace of the newest parts; None if there are fewer than two, or all of one moment.

    The oldest of them only says when the others began. A pause between them counts as time.

    Parameters
    ----------
    parts : when each was written, s since 1970, and how many photos it holds.
    shards_left : they are taken to be as large as those parts.
    now : s since 1970.
    """
    recent = sorted(parts)[-RECENT:]
    if len(recent) < 2 or recent[-1][0] <= recent[0][0]:
        return None
    photos = sum(count for _, count in recent[1:])
    rate = photos / (recent[-1][0] - recent[0][0])
    if rate == 0:
        return None
    left = shards_left * photos / (len(recent) - 1) / rate
    return Pace(rate, left, max(0.0, now - recent[-1][0]))
