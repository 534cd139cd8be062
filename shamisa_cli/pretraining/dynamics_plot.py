"""The picture of a run's dynamics, from its log: collapse, plateau or progress at one look."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shamisa_cli.pretraining.verdict import verdict
from shamisa_cli.training.curves import smoothed, window_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Records = Sequence[Mapping[str, Any]]
Curves = dict[str, tuple[list[int], list[float]]]
"""By name: steps, and values there."""

_COLORS = {"collapse": "tab:red", "progress": "tab:green"}
"""Of the verdict; of any other word it is gray."""
_COLLAPSED: dict[str, Any] = {"color": "tab:red", "ls": "--", "lw": 1}
_CONTROL: dict[str, Any] = {"color": "black", "ls": "--", "lw": 1}
_COLUMNS = 5


@dataclass(frozen=True)
class Panel:
    """A quantity's curves; ``finish`` gives the axes what they have beside these."""

    title: str
    curves: Curves
    finish: Callable[[Any], None] = lambda axes: None


def has_dynamics(records: Records) -> bool:
    """Whether the log holds a measurement at all."""
    return any("rank_z" in record for record in records)


def draw_dynamics(figure: Figure, records: Records, probes: Records = ()) -> None:
    """A panel a quantity; those that the log, of an older run perhaps, has not are left out."""
    found = verdict(records)
    color = _COLORS.get(found.word, "dimgray")
    figure.suptitle(f"{found.word}: {found.why}", color=color, fontweight="bold")
    panels = [panel for panel in _panels(records, probes) if panel.curves]
    columns = min(_COLUMNS, len(panels))
    rows = math.ceil(len(panels) / columns)
    sources = {name: f"C{k % 10}" for k, name in enumerate(records[-1].get("alpha", {}))}
    places = figure.subplots(rows, columns, squeeze=False).flat
    for axes, panel in zip(places, panels, strict=False):
        _draw(axes, panel.curves, sources)
        panel.finish(axes)
        axes.set_title(panel.title, fontsize=10)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=7)
    for empty in figure.axes[len(panels) :]:
        empty.remove()
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=color, label=name) for name, color in sources.items()]
    if handles:
        title = "graph sources"
        figure.legend(handles=handles, loc="lower center", ncols=8, title=title, fontsize=9)
    # by hand: the layout engine takes as long as all of the drawing
    figure.subplots_adjust(0.035, 0.15, 0.99, 0.89, wspace=0.25, hspace=0.28)


def _panels(records: Records, probes: Records) -> list[Panel]:
    """All that there may be, in order."""
    both = ("h", "z")
    pairs = _columns(records, {"all pairs": "distance_z"})
    return [
        Panel("total loss", _loss(records)),
        Panel("effective rank", _columns(records, {x: f"rank_{x}" for x in both}), _from_zero),
        Panel("spread", _columns(records, {x: f"spread_{x}" for x in both}), _logarithmic),
        Panel(
            "uniformity (lower: spread out)",
            _columns(records, {x: f"uniformity_{x}" for x in both}),
            _uniformity,
        ),
        Panel(
            "off-diagonal covariance of z, rms",
            _columns(records, {"z": "covariance_z"}),
            _logarithmic,
        ),
        Panel("alignment of z: ‖x − y‖² along edges", _table(records, "alignment_z") | pairs),
        Panel("satisfied: nearer than the median pair", _table(records, "satisfied_z"), _satisfied),
        Panel("α of each graph source", _table(records, "alpha"), _from_zero),
        Panel("gradient by z of weighted terms", _table(records, "gradients_z"), _logarithmic),
        Panel("probe on the way", _keys(probes)),
    ]


def _loss(records: Records) -> Curves:
    """Each step, and its average where there are enough."""
    steps = [record["step"] for record in records]
    values = [record["total"] for record in records]
    window = window_of(len(steps))
    curves = {"each step": (steps, values)}
    if window > 1:
        curves[f"average of {window}"] = (steps, smoothed(values, window))
    return curves


def _columns(records: Records, keys: Mapping[str, str]) -> Curves:
    """The numbers under ``keys``, by the name they are shown with, where a record has them."""
    found: Curves = {}
    for name, key in keys.items():
        some = [(record["step"], record[key]) for record in records if key in record]
        if some:
            found[name] = ([step for step, _ in some], [value for _, value in some])
    return found


def _table(records: Records, key: str) -> Curves:
    """The numbers of the table under ``key``, a curve for each of its names."""
    return _keys([{"step": record["step"], **record[key]} for record in records if key in record])


def _keys(records: Records) -> Curves:
    """A curve for every key but the step."""
    keys = dict.fromkeys(key for record in records for key in record if key != "step")
    return _columns(records, {key: key for key in keys})


def _draw(axes: Any, curves: Curves, sources: Mapping[str, str]) -> None:
    """A line each; few values are marked, and those of sources differ in width if they coincide."""
    for k, (name, (steps, values)) in enumerate(curves.items()):
        style: dict[str, Any] = {"lw": 1.5, "marker": "o" if len(steps) < 50 else None, "ms": 3}
        if name in sources:
            style |= {"color": sources[name], "lw": 3 - 2 * k / len(sources)}
        elif name == "all pairs":
            style |= _CONTROL
        elif name == "each step":
            style |= {"lw": 0.5, "alpha": 0.6, "marker": None}
        elif not any(values):
            name = f"{name}: 0"
        axes.plot(steps, values, label=f"_{name}" if name in sources else name, **style)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.tick_params(labelsize=8)


def _from_zero(axes: Any) -> None:
    axes.set_ylim(bottom=0)


def _logarithmic(axes: Any) -> None:
    """A logarithmic scale for values that differ much, else one from zero."""
    shown = [value for line in axes.lines for value in line.get_ydata() if value > 0]
    if not shown or max(shown) < 5 * min(shown):
        axes.set_ylim(bottom=0)
        return
    axes.set_yscale("log", subs=[])
    axes.yaxis.get_major_locator().set_params(subs=(1, 2, 5))
    axes.yaxis.set_major_formatter("{x:g}")


def _uniformity(axes: Any) -> None:
    """With both ends of what is usual."""
    axes.axhline(0, **_COLLAPSED, label="all at one place")
    axes.axhline(-4, **_CONTROL, label="pairs at right angles")
    axes.set_ylim(-4.3, 0.3)


def _satisfied(axes: Any) -> None:
    axes.axhline(0.5, **_CONTROL, label="chance")
    axes.set_ylim(0, 1.03)
