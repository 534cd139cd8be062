"""gMAD: pairs of pictures that one model calls equal, and another tells far apart.

K. Ma et al., "Group Maximum Differentiation Competition: Model Comparison with Few Samples", IEEE
TPAMI 42(4), 2020 (first at CVPR 2016). A defender sorts a pool of pictures into levels of quality;
in each level an attacker picks the pair that it separates most. Whoever looks at the pair sees who
is wrong: the defender if the two differ in quality, the attacker if they do not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shamisa_cli.errors import UsageError
from shamisa_cli.evaluation.measures import Array

TOLERANCE = 0.05
"""What the defender calls equal: so many of its standard deviations over the pool."""


@dataclass(frozen=True)
class Pair:
    """What the attacker picked.

    Attributes
    ----------
    better, worse : positions in the pool; ``better`` is what the attacker scores higher.
    gap : by how much, in the attacker's units; above 0.
    deviations : the same in standard deviations of the attacker over the pool.
    """

    better: int
    worse: int
    gap: float
    deviations: float


@dataclass(frozen=True)
class Level:
    """A level of quality, in the defender's eyes.

    Attributes
    ----------
    number : 1, 2, … from the lowest scores to the highest.
    low, high : its scores; ``high`` is the next level's, except in the last.
    pictures : how many of the pool.
    pair : the attacker's; None where no two pictures are equal enough, or none is separated.
    """

    number: int
    low: float
    high: float
    pictures: int
    pair: Pair | None


def choose_pairs(
    defender: Array,
    attacker: Array,
    levels: int = 6,
    tolerance: float = TOLERANCE,
    groups: NDArray[np.int64] | None = None,
) -> list[Level]:
    """The pair of each level of the defender that the attacker separates most.

    Levels have equal widths between the defender's lowest and highest score in the pool, as the
    paper's are evenly spaced. A level alone is too wide to be called equal: the two pictures of a
    pair also differ by at most ``tolerance`` in the defender's score. Of pairs with the same gap
    that one is taken whose better picture comes first in the pool, then the worse one.

    Parameters
    ----------
    defender, attacker : (n,) scores of the same pictures; higher is better.
    levels : their number, at least 1.
    tolerance : in standard deviations of the defender over the pool.
    groups : (n,); pairs are then of pictures with the same number only.

    Raises
    ------
    UsageError
        for fewer than two pictures.
    """
    if levels < 1 or not tolerance >= 0:
        raise UsageError(f"levels must be at least 1, tolerance 0; got {levels} and {tolerance}")
    if len(defender) < 2:
        raise UsageError(f"a pool of {len(defender)} pictures has no pair; give more photos")
    edges = np.linspace(defender.min(), defender.max(), levels + 1)
    level_of = np.searchsorted(edges[1:-1], defender, side="right")
    width = tolerance * float(defender.std())
    return [
        Level(
            number + 1,
            float(edges[number]),
            float(edges[number + 1]),
            int((level_of == number).sum()),
            _pair(np.flatnonzero(level_of == number), defender, attacker, width, groups),
        )
        for number in range(levels)
    ]


def _pair(
    members: NDArray[np.int64],
    defender: Array,
    attacker: Array,
    width: float,
    groups: NDArray[np.int64] | None,
) -> Pair | None:
    """The widest pair of ``members``, or of one of their groups; None if no gap is above 0."""
    found = [
        widest
        for some in _parts(members, groups)
        if (widest := _widest(some, defender[some], attacker[some], width))
    ]
    if not found:
        return None
    gap, better, worse = min(found, key=lambda each: (-each[0], each[1], each[2]))
    return Pair(better, worse, gap, gap / float(attacker.std()))


def _parts(
    members: NDArray[np.int64], groups: NDArray[np.int64] | None
) -> Iterator[NDArray[np.int64]]:
    if groups is None:
        yield members
    else:
        for group in np.unique(groups[members]):
            yield members[groups[members] == group]


def _widest(
    members: NDArray[np.int64], defender: Array, attacker: Array, width: float
) -> tuple[float, int, int] | None:
    """(gap, better, worse) of pictures at most ``width`` apart; None if no gap is above 0.

    In the order of the defender's scores, what is close to a picture is a slice.
    """
    order = np.argsort(defender, kind="stable")
    scores, others = defender[order], attacker[order]
    starts = np.searchsorted(scores, defender - width, side="left")
    ends = np.searchsorted(scores, defender + width, side="right")
    slices = zip(starts.tolist(), ends.tolist(), strict=True)
    gaps = attacker - np.array([others[start:end].min() for start, end in slices])
    if not len(gaps) or gaps.max() <= 0:
        return None
    better = int(gaps.argmax())
    close = order[starts[better] : ends[better]]
    worse = int(close[attacker[close] == attacker[close].min()].min())
    return float(gaps[better]), int(members[better]), int(members[worse])
