"""The keepers: which photos stay, and why."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction

from shamisa_cli.culling.bursts import Group
from shamisa_cli.errors import UsageError

_WHOLE = re.compile("[0-9]+")
_PERCENT = re.compile(r"[0-9]+(\.[0-9]+)? *%")


@dataclass(frozen=True)
class Rule:
    """What makes a keeper; None leaves a part out, but not all of them.

    Attributes
    ----------
    best : so many photos, or with ``share`` so many percent, rounded up.
    share : whether ``best`` is in percent.
    least : the least score.
    per_burst : photos of each burst.
    """

    best: Fraction | None = None
    share: bool = False
    least: float | None = None
    per_burst: int | None = None


@dataclass(frozen=True)
class Choice:
    """Of one photo: whether it is kept, and why; ``group`` counts from 1, 0 is none."""

    keep: bool
    reason: str
    group: int = 0


def parse_best(text: str) -> tuple[Fraction, bool]:
    """``40`` or ``30%``: a number, and whether it is a percentage.

    Raises
    ------
    UsageError
        if it is neither, or out of range.
    """
    plain = text.strip()
    share = plain.endswith("%")
    number = Fraction(0)
    if _WHOLE.fullmatch(plain) or _PERCENT.fullmatch(plain):
        with suppress(ValueError):  # more digits than Python reads
            number = Fraction(plain.removesuffix("%").strip())
    if number <= 0 or (share and number > 100):
        raise UsageError(f"best must be a number of photos, 40, or a share, 30%; got {text!r}")
    return number, share


def choose(
    names: Sequence[str],
    scores: Sequence[float],
    groups: Sequence[Group],
    rule: Rule,
    close_ups: Mapping[int, float] | None = None,
) -> list[Choice]:
    """A choice for every photo.

    Series are kept whole and stand apart: they do not count for ``best``. Of the others, first
    the best of each burst stay, then, of what is left, the best that have the least score.

    Parameters
    ----------
    names, scores : of the photos; the name decides between equal scores.
    groups : of numbers of photos.
    close_ups : by number, how good photos look close up, 0-100. A burst of which all are known is
        ranked by the mean of score and close-up.
    """
    near = close_ups or {}

    def rank(n: int) -> tuple[float, str]:
        return -scores[n], names[n]

    whole = {n: group for group in groups if group.kind != "burst" for n in group.members}
    reasons = {n: f"{g.kind} of {len(g.members)}, kept whole" for n, g in whole.items()}
    dropped: dict[int, str] = {}
    for group in groups if rule.per_burst is not None else ():
        seen = near if all(n in near for n in group.members) else {}
        ranked = sorted(group.members, key=lambda n: (-scores[n] - seen.get(n, 0.0), names[n]))
        for place, n in enumerate(ranked, 1):
            if n not in whole:
                reasons[n] = f"{place} of {len(group.members)} in its burst"
                reasons[n] += f", close up {seen[n]:.0f}" if n in seen else ""
                if place > (rule.per_burst or 0):
                    dropped[n] = reasons[n]
    left = [n for n in range(len(scores)) if n not in whole and n not in dropped]
    if rule.best is not None:
        count = math.ceil(len(left) * rule.best / 100) if rule.share else int(rule.best)
        asked = f"{float(rule.best):g}%" if rule.share else f"{count}"
        dropped |= dict.fromkeys(sorted(left, key=rank)[count:], f"not among the best {asked}")
    if rule.least is not None:
        low = [n for n in left if scores[n] < rule.least]
        dropped |= dict.fromkeys(low, f"scores less than {rule.least:g}")
    numbers = {n: number for number, group in enumerate(groups, 1) for n in group.members}
    return [
        Choice(n not in dropped, dropped.get(n) or reasons.get(n, "keeper"), numbers.get(n, 0))
        for n in range(len(scores))
    ]
