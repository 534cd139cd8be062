"""What decides a training run, whatever it trains; TOML and options use these names."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any, Literal

SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def check_range(
    config: Any, low: float, *names: str, above: bool = False, most: float | None = None
) -> None:
    """Refuse fields under ``low`` (with ``above``: at it, too) and over ``most``; None passes.

    Without ``most`` they must be finite.
    """
    for name in names:
        value = getattr(config, name)
        # written so that NaN, which is neither, is refused
        if value is not None and not (value > low if above else value >= low):
            bound = f"above {low}" if above else f"at least {low}"
            raise ValueError(f"{name} must be {bound}, got {value}")
        if value is not None and most is None and value == math.inf:
            raise ValueError(f"{name} must be finite, got {value}")
        if value is not None and most is not None and value > most:
            raise ValueError(f"{name} must be at most {most}, got {value}")


def parse_duration(text: str) -> float:
    """Seconds of ``90s``, ``25m``, ``1h30m`` or ``2d``; a ValueError says what was expected."""
    parts = re.findall(r"(\d+(?:\.\d+)?)([smhd])", text)
    if not parts or "".join(a + b for a, b in parts) != text:
        raise ValueError(f"expected a duration such as 90s, 25m or 1h30m, got {text!r}")
    return sum(float(amount) * SECONDS[unit] for amount, unit in parts)


@dataclass(frozen=True)
class OptimizerConfig:
    """Published: SGD, 1.5e-3, momentum 0.9, weight decay 1e-4 (docs/method.md §5)."""

    name: Literal["sgd", "adamw", "lars"] = "sgd"
    lr: float = 1.5e-3
    momentum: float = 0.9
    weight_decay: float = 1e-4
    clip_norm: float | None = None

    def __post_init__(self) -> None:
        check_range(self, 0, "lr", "clip_norm", above=True)
        check_range(self, 0, "momentum", "weight_decay")


@dataclass(frozen=True)
class ScheduleConfig:
    """``warm_restarts`` as published, stepped every iteration, or one ``cosine`` with warm-up."""

    name: Literal["warm_restarts", "cosine"] = "warm_restarts"
    restart_epochs: float = 1.0
    restart_mult: int = 2
    min_lr: float = 1e-6
    warmup_steps: int = 0

    def __post_init__(self) -> None:
        check_range(self, 0, "restart_epochs", above=True)
        check_range(self, 1, "restart_mult")
        check_range(self, 0, "min_lr", "warmup_steps")


@dataclass(frozen=True)
class TrainingConfig:
    """One training run.

    Attributes
    ----------
    steps, epochs, budget : the run ends at whichever is given (``budget`` is wall-clock: ``25m``);
        with none of them, after one epoch.
    accumulate : mini-batches per optimizer step.
    workers : processes that make mini-batches ahead; None is one.
    """

    seed: int = 0
    steps: int | None = None
    epochs: float | None = None
    budget: str | None = None
    accumulate: int = 1
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    device: str = "auto"
    workers: int | None = None
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)

    def __post_init__(self) -> None:
        if self.budget is not None and parse_duration(self.budget) == 0:
            raise ValueError(f"budget must be above 0, got {self.budget}")
        check_range(self, 1, "steps", "accumulate")
        check_range(self, 0, "epochs", "seed", "workers")
        ends = [name for name in ("steps", "epochs", "budget") if getattr(self, name) is not None]
        if len(ends) > 1:
            raise ValueError(f"give one of steps, epochs and budget, not {' and '.join(ends)}")

    def total_steps(self, examples: int, batch_examples: int) -> int | None:
        """Steps on ``examples``, so many in a mini-batch; None under a wall-clock budget."""
        if self.budget is not None:
            return None
        if self.steps is not None:
            return self.steps
        epochs = self.epochs if self.epochs is not None else 1.0
        return max(1, round(epochs * examples / (batch_examples * self.accumulate)))
