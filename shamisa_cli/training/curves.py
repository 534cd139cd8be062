"""Curves of a run's log: its losses, as they are and smoothed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure


def draw_losses(
    figure: Figure | SubFigure, records: Sequence[dict[str, Any]], terms: Sequence[str]
) -> None:
    """A panel a term; the terms as they are before their weights."""
    steps = [record["step"] for record in records]
    window = window_of(len(steps))
    columns = min(3, len(terms))
    places = figure.subplots(math.ceil(len(terms) / columns), columns, squeeze=False).flat
    for axes, term in zip(places, terms, strict=False):
        values = [record[term] for record in records]
        axes.plot(steps, values, lw=0.5, alpha=0.6, label="each step")
        if window > 1:
            label = f"average of the {window} steps around"
            axes.plot(steps, smoothed(values, window), lw=1.5, label=label)
        axes.set(title=term, xlabel="step")
        axes.xaxis.get_major_locator().set_params(integer=True)
    for empty in figure.axes[len(terms) :]:
        empty.remove()
    figure.axes[0].legend(fontsize=7)
    several = ": the weighted total, and its terms before their weights"
    figure.suptitle("Loss" + (several if len(terms) > 1 else ""))


def window_of(steps: int) -> int:
    """Of how many steps the average is made: a fortieth of them, an odd number; 1 for a few."""
    return min(steps // 80 * 2 + 5, (steps - 1) // 2 * 2 + 1)


def smoothed(values: Sequence[float], window: int) -> list[float]:
    """The mean of the ``window`` values around each; it neither lags nor clings to the first.

    At both ends, where half of them are missing, the straight line through the first or last
    ``window`` values that fits best (Savitzky & Golay's filter of the first order).
    """
    if window == 1:
        return list(values)
    from scipy.signal import savgol_filter

    return savgol_filter(np.array(values), window, polyorder=1).tolist()
