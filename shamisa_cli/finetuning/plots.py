"""Pictures of fine-tuning: the curves of one run, and splits beside their linear probes."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shamisa_cli.evaluation.plot import save_figure
from shamisa_cli.training.curves import draw_losses
from shamisa_cli.training.log import LOG, read_log

if TYPE_CHECKING:
    from shamisa_cli.finetuning.study import Outcome
    from shamisa_cli.finetuning.watch import Check

TERMS = ("total", "regression", "ladder", "contrast")
"""What a log may hold; the total is shown where there is more than one term."""


def plot_training(out: Path, checks: Sequence[Check]) -> None:
    """Write ``out``/losses.png: the losses of the log there, and the looks at the validation part.

    Nothing without matplotlib, or where there is no step.
    """
    records = read_log(out / LOG)
    if not records or importlib.util.find_spec("matplotlib") is None:
        return
    from matplotlib.figure import Figure

    terms = [term for term in TERMS if term in records[0]]
    if len(terms) == 2:
        terms = terms[1:]
    figure = Figure(figsize=(4 * len(terms) + 4, 3.5), layout="constrained")
    halves: Any = figure.subfigures(1, 2, width_ratios=[len(terms), 1])
    losses, looks = halves
    draw_losses(losses, records, terms)
    axes = looks.subplots()
    best = max(checks, key=lambda check: check.worth)
    axes.plot([each.step for each in checks], [each.srcc for each in checks], "o-")
    axes.plot(best.step, best.srcc, "o", ms=10, mfc="none", color="C1", label="kept")
    axes.set(title="SRCC", xlabel="step")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(fontsize=7)
    looks.suptitle("Validation part")
    save_figure(figure, out / "losses.png")


def plot_paired(name: str, shares: Mapping[float, Sequence[Outcome]], path: Path) -> None:
    """Write a picture of the test SRCC of each split: fine-tuned against its linear probe.

    With several ``shares`` of the training part, also the mean of both by share. ``name`` is of the
    dataset.
    """
    from matplotlib.figure import Figure

    several = len(shares) > 1
    figure = Figure(figsize=(11 if several else 5.5, 5), layout="constrained")
    panels = figure.subplots(1, 1 + several, squeeze=False)[0]
    _draw_pairs(panels[0], shares)
    if several:
        _draw_shares(panels[1], shares)
    figure.suptitle(f"Test SRCC on {name}")
    save_figure(figure, path)


def _draw_pairs(axes: Any, shares: Mapping[float, Sequence[Outcome]]) -> None:
    """A point a split; above the diagonal fine-tuning is ahead."""
    values = {share: _srcc(some) for share, some in shares.items()}
    for share, (probe, tuned) in values.items():
        label = f"{share:.0%}: {(tuned > probe).sum()} of {len(probe)} ahead"
        axes.plot(probe, tuned, "o", alpha=0.7, label=label)
    every = np.concatenate([each.ravel() for each in values.values()])
    low, high = np.nanmin(every), np.nanmax(every)
    room = max(0.01, 0.08 * (high - low))
    ends = low - room, high + room
    axes.plot(ends, ends, color="gray", lw=1, zorder=0)
    axes.set(xlim=ends, ylim=ends, xlabel="linear probe", ylabel="fine-tuned", aspect="equal")
    axes.set_title("a point a split; above the line fine-tuning is ahead", fontsize=9)
    axes.legend(title="share of the training part", fontsize=8, title_fontsize=8)


def _draw_shares(axes: Any, shares: Mapping[float, Sequence[Outcome]]) -> None:
    """Means over the splits by share, and each split as a small point."""
    ordered = sorted(shares)
    percent = [100 * share for share in ordered]
    both = [_srcc(shares[share]) for share in ordered]
    for k, (label, marker) in enumerate((("linear probe", "s-"), ("fine-tuned", "o-"))):
        axes.plot(percent, [each[k].mean() for each in both], marker, color=f"C{k}", label=label)
        for x, each in zip(percent, both, strict=True):
            axes.plot([x] * len(each[k]), each[k], ".", ms=4, alpha=0.35, color=f"C{k}")
    axes.set(xlabel="percent of the training part", ylabel="SRCC", xticks=percent)
    axes.set_title("means over the splits; small points are splits", fontsize=9)
    axes.legend(fontsize=8)


def _srcc(outcomes: Sequence[Outcome]) -> np.ndarray:
    """(2, n): of the linear probe, and fine-tuned."""
    return np.array([[each.probe["srcc"], each.tuned["srcc"]] for each in outcomes]).T
