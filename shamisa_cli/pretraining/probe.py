"""Probes on the way: the encoder so far is measured while it trains, and the figures are kept."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from shamisa_cli.errors import ShamisaError
from shamisa_cli.training.log import RunLog

PROBES = "probes.jsonl"
"""The figures of a run's probes, a line each."""


@dataclass(frozen=True)
class Probed:
    """What a probe found: a line of ``text`` to say, and ``figures`` for the curves, by name."""

    text: str
    figures: Mapping[str, float]


@dataclass(frozen=True)
class Probe:
    """Measure the encoder each ``every`` steps: what ``measure`` finds in its model folder."""

    every: int
    measure: Callable[[Path], Probed]


@contextmanager
def probing(
    probe: Probe | None,
    out: Path,
    last_step: int,
    save: Callable[[], Path],
    say: Callable[[str], None],
) -> Iterator[Callable[[int], None]]:
    """A function that is called after each step, with its number, and probes when it is time.

    Parameters
    ----------
    out : folder of the run; the figures go on in its :data:`PROBES`.
    last_step : of the run so far: later figures of an interrupted run are dropped.
    save : writes the encoder so far, and gives its folder.
    say : hears a line of each probe.
    """
    if probe is None and not (out / PROBES).exists():
        yield lambda step: None
        return
    with closing(RunLog(out / PROBES, last_step)) as log:

        def after_step(step: int) -> None:
            if probe is None or step % probe.every:
                return
            found = _measured(probe, save())
            say(f"step {step}: {found.text}")
            figures = {name: value for name, value in found.figures.items() if math.isfinite(value)}
            if figures:
                log.write({"step": step, **figures})

        yield after_step


def _measured(probe: Probe, folder: Path) -> Probed:
    """What the probe says of a model folder; training goes on where it can say nothing."""
    try:
        return probe.measure(folder)
    except ShamisaError as error:
        return Probed(f"not measured: {error}", {})
