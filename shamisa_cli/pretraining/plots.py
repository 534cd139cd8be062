"""Pictures of a run: its losses, its α, its edges, its dynamics; a sheet of one mini-batch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image
from torch import Tensor

from shamisa_cli.distortions.layout import BatchLayout, BatchMetadata
from shamisa_cli.distortions.registry import ENTRIES
from shamisa_cli.distortions.severity import native_text
from shamisa_cli.imaging.arrays import to_image
from shamisa_cli.imaging.sheet import Row, contact_sheet
from shamisa_cli.pretraining.dynamics_plot import draw_dynamics, has_dynamics
from shamisa_cli.training.curves import draw_losses, smoothed, window_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TERMS = ("total", "invariance", "variance", "covariance", "auxiliary", "regularizer")
"""The panels of losses.png for the default objective."""
GRAPHS = {
    "alpha": "α, share of each graph source",
    "edges": "edges of each graph",
    "edge_weights": "sum of edge weights, before α and c",
}
"""Keys of a log record that hold a number a source, and what they are."""
SCALES = ("full", "half")
_SIDE = 224
"""px, of the crops on the sheet of a mini-batch."""


def plot_run(
    records: Sequence[dict[str, Any]],
    folder: Path,
    terms: Sequence[str] = TERMS,
    probes: Sequence[dict[str, Any]] = (),
) -> list[Path]:
    """Write losses.png, a panel each of ``terms``, graphs.png and dynamics.png from a run's log.

    ``probes`` are the figures of the probes on the way. An empty list without matplotlib, or where
    there is no step; no dynamics.png where the log has no measurement.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return []
    if not records:
        return []
    losses = Figure(figsize=(11, 3 * math.ceil(len(terms) / 3)), layout="constrained")
    draw_losses(losses, records, terms)
    graphs = Figure(figsize=(14, 5), layout="constrained")
    _draw_graphs(graphs, records)
    figures = {"losses.png": losses, "graphs.png": graphs}
    if has_dynamics(records):
        figures["dynamics.png"] = Figure(figsize=(15, 6.5))
        draw_dynamics(figures["dynamics.png"], records, probes)
    for name, figure in figures.items():
        figure.savefig(folder / name, dpi=110)
    return [folder / name for name in figures]


def _draw_graphs(figure: Figure, records: Sequence[dict[str, Any]]) -> None:
    """A panel a quantity: bars with their numbers where nothing changes, else lines."""
    steps = [record["step"] for record in records]
    names = list(records[-1]["alpha"])
    for axes, (key, title) in zip(figure.subplots(1, len(GRAPHS)), GRAPHS.items(), strict=True):
        curves = {name: [record[key][name] for record in records] for name in names}
        axes.set_title(title)
        if all(min(values) == max(values) for values in curves.values()):
            _draw_bars(axes, {name: values[-1] for name, values in curves.items()})
            axes.set_xlabel(f"the same at all {len(steps)} steps")
        else:
            _draw_lines(axes, steps, curves)


def _draw_bars(axes: Any, values: dict[str, float]) -> None:
    colors = [f"C{k % 10}" for k in range(len(values))]
    bars = axes.barh(list(values), list(values.values()), color=colors)
    axes.bar_label(bars, fmt="{:.4g}", padding=3)
    axes.margins(x=0.2)
    axes.locator_params(axis="x", nbins=5)
    axes.invert_yaxis()


def _draw_lines(axes: Any, steps: list[int], curves: dict[str, list[float]]) -> None:
    """A line a source, with its last value in the legend; lines that coincide differ in width."""
    window = window_of(len(steps))
    for k, (name, values) in enumerate(curves.items()):
        color, label = f"C{k % 10}", f"{name}: {values[-1]:.4g}"
        width = 4 - 3 * k / max(1, len(curves) - 1)
        if not any(values):
            axes.plot([], [], lw=width, color=color, label=label)
            continue
        axes.plot(steps, values, lw=0.4, alpha=0.4, color=color)
        axes.plot(steps, smoothed(values, window), lw=width, color=color, label=label)
    shown = [value for values in curves.values() if any(values) for value in values]
    if min(shown) > 0 and max(shown) > 20 * min(shown):
        axes.set_yscale("log", subs=[])
        axes.yaxis.get_major_locator().set_params(subs=(1, 2, 5))
        axes.yaxis.set_major_formatter("{x:g}")
    else:
        axes.set_ylim(bottom=0)
    axes.set_xlabel("step")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(
        title=f"at step {steps[-1]}",
        loc="upper center",
        bbox_to_anchor=(0.5, -0.15),
        ncols=2,
        fontsize=8,
    )


def batch_sheet(crops: Tensor, metadata: BatchMetadata, layout: BatchLayout) -> Image.Image:
    """The first reference of the first tiny-batch in each composition group and view.

    A row is the pristine crop, then its levels by the severity of the function that varies. Small
    crops are shown at twice their size, three times and so on.
    ``crops`` (N, 3, H, W) in [0, 1] in the order of ``layout``.
    """
    nodes = {tuple(place): node for node, place in enumerate(layout.coordinates.tolist())}
    rows = []
    for group in range(layout.groups):
        entry = ENTRIES[int(metadata.functions[0, group, metadata.varying[0, group]])]
        severities = metadata.varying_severity[0, group].tolist()
        order = sorted(range(layout.levels), key=severities.__getitem__)
        captions = [
            f"severity {severities[level]:.2f}, {native_text(entry, severities[level])}"
            for level in order
        ]
        group_name = f"composition group {group + 1} of {layout.groups}"
        for view in range(layout.views):
            shown = [(-1, -1), *((group, level) for level in order)]
            pictures = [_shown(crops[nodes[0, view, 0, at, level]]) for at, level in shown]
            title = f"{group_name}, {SCALES[view]} scale: {composition_text(metadata, 0, group)}"
            rows.append(Row(title, pictures, ["reference", *captions]))
    return contact_sheet(rows)


def _shown(crop: Tensor) -> Image.Image:
    """A crop (3, H, W), each pixel enlarged to a square if it is small."""
    picture = to_image(crop)
    factor = max(1, _SIDE // picture.width)
    size = (picture.width * factor, picture.height * factor)
    return picture.resize(size, Image.Resampling.NEAREST)


def composition_text(metadata: BatchMetadata, tiny_batch: int, group: int) -> str:
    """The functions of a composition in order; of all but the one that varies, their values."""
    ids = [k for k in metadata.functions[tiny_batch, group].tolist() if k >= 0]
    severities = metadata.severities[tiny_batch, group, 0].tolist()
    varying = int(metadata.varying[tiny_batch, group])
    texts = []
    for place, (k, severity) in enumerate(zip(ids, severities, strict=False)):
        value = "varies" if place == varying else native_text(ENTRIES[k], severity)
        texts.append(f"{ENTRIES[k].distortion.name} ({value})")
    return " → ".join(texts)
