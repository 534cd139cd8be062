"""Learning rate and crop size as pure functions of where the run stands: nothing to save."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True)
class Position:
    """Where a run stands.

    Attributes
    ----------
    step : optimizer steps done.
    epoch : passes over the photos done, fractional.
    progress : share of the run done, 0 … 1 (by steps, or by wall-clock under a budget).
    """

    step: int
    epoch: float
    progress: float


def parse_duration(text: str) -> float:
    """Seconds of ``90s``, ``25m``, ``1h30m`` or ``2d``; a ValueError says what was expected."""
    parts = re.findall(r"(\d+(?:\.\d+)?)([smhd])", text)
    if not parts or "".join(a + b for a, b in parts) != text:
        raise ValueError(f"expected a duration such as 90s, 25m or 1h30m, got {text!r}")
    return sum(float(amount) * SECONDS[unit] for amount, unit in parts)


def parse_crop(text: str) -> tuple[tuple[int, float], ...]:
    """((side px, share of the run at which it ends), …) of ``224`` or ``112:0.6,224``.

    Raises
    ------
    ValueError
        if a side is under 32 px, the shares do not rise, or any but the last has no share.
    """
    stages: list[tuple[int, float]] = []
    parts = text.split(",")
    for k, part in enumerate(parts):
        match = re.fullmatch(r"(\d+)(?::(\d*\.?\d+))?", part.strip())
        last = k == len(parts) - 1
        if match is None or (match[2] is None and not last):
            raise ValueError(f"expected a crop such as 224 or 112:0.6,224, got {text!r}")
        side, end = int(match[1]), 1.0 if last else float(match[2])
        if side < 32 or end > 1 or (stages and end <= stages[-1][1]):
            raise ValueError(f"crop {text!r}: sides are at least 32 px and shares rise up to 1")
        stages.append((side, end))
    return tuple(stages)


def crop_side(stages: tuple[tuple[int, float], ...], progress: float) -> int:
    """The crop side in px at ``progress`` of the run."""
    return next((side for side, end in stages if progress < end), stages[-1][0])


def cosine(low: float, high: float, share: float) -> float:
    """From ``high`` at share 0 to ``low`` at share 1 along half a cosine."""
    return low + (high - low) * 0.5 * (1 + math.cos(math.pi * min(max(share, 0.0), 1.0)))


def warm_restart_share(epoch: float, first: float, mult: int) -> float:
    """Share of the current cycle of annealing with warm restarts (Loshchilov & Hutter, 2017).

    The k-th cycle lasts first·mult^k epochs; at its end the share falls back to 0.
    """
    if mult == 1:
        return (epoch % first) / first
    cycle = math.floor(math.log(epoch / first * (mult - 1) + 1, mult) + 1e-12)
    start = first * (mult**cycle - 1) / (mult - 1)
    return (epoch - start) / (first * mult**cycle)


def learning_rate(
    position: Position,
    *,
    name: str,
    lr: float,
    min_lr: float,
    warmup_steps: int,
    restart_epochs: float,
    restart_mult: int,
) -> float:
    """The learning rate of the step that starts at ``position``."""
    if position.step < warmup_steps:
        return lr * (position.step + 1) / warmup_steps
    if name == "cosine":
        return cosine(min_lr, lr, position.progress)
    return cosine(min_lr, lr, warm_restart_share(position.epoch, restart_epochs, restart_mult))
