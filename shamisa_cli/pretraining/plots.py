"""Pictures of a run: its losses, its α, its edges; and a sheet of one mini-batch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image
from torch import Tensor

from shamisa_cli.distortions.layout import BatchLayout, BatchMetadata
from shamisa_cli.distortions.registry import ENTRIES
from shamisa_cli.imaging.arrays import to_image
from shamisa_cli.imaging.sheet import contact_sheet

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


def plot_run(
    records: Sequence[dict[str, Any]], folder: Path, terms: Sequence[str] = TERMS
) -> list[Path]:
    """Write losses.png, a panel each of ``terms``, and graphs.png from a run's log.

    An empty list without matplotlib, or where there is no step.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return []
    if not records:
        return []
    losses = Figure(figsize=(11, 3 * math.ceil(len(terms) / 3)), layout="constrained")
    _draw_losses(losses, records, terms)
    graphs = Figure(figsize=(14, 4), layout="constrained")
    _draw_graphs(graphs, records)
    made = []
    for figure, name in ((losses, "losses.png"), (graphs, "graphs.png")):
        figure.savefig(folder / name, dpi=110)
        made.append(folder / name)
    return made


def _draw_losses(figure: Figure, records: Sequence[dict[str, Any]], terms: Sequence[str]) -> None:
    """A panel a term; the terms as they are before their weights."""
    steps = [record["step"] for record in records]
    places = figure.subplots(math.ceil(len(terms) / 3), 3, squeeze=False).flat
    for axes, term in zip(places, terms, strict=False):
        values = [record[term] for record in records]
        axes.plot(steps, values, lw=0.5, alpha=0.6, label="each step")
        axes.plot(steps, smoothed(values), lw=1.5, label="moving average")
        axes.set(title=term, xlabel="step")
        axes.xaxis.get_major_locator().set_params(integer=True)
    for empty in figure.axes[len(terms) :]:
        empty.remove()
    figure.axes[0].legend(fontsize=7)
    figure.suptitle("Loss: the weighted total, and its terms before their weights")


def _draw_graphs(figure: Figure, records: Sequence[dict[str, Any]]) -> None:
    """A panel a quantity, a line a source; lines that coincide show by their widths."""
    steps = [record["step"] for record in records]
    names = list(records[-1]["alpha"])
    for axes, (key, title) in zip(figure.subplots(1, len(GRAPHS)), GRAPHS.items(), strict=True):
        for k, name in enumerate(names):
            values = [record[key][name] for record in records]
            axes.plot(steps, values, lw=4 - 3 * k / max(1, len(names) - 1), label=name)
        axes.set(title=title, xlabel="step")
        axes.xaxis.get_major_locator().set_params(integer=True)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", fontsize=8)


def smoothed(values: Sequence[float], decay: float = 0.95) -> list[float]:
    """Exponential moving average of a curve."""
    average, out = values[0], []
    for value in values:
        average = decay * average + (1 - decay) * value
        out.append(average)
    return out


def batch_sheet(crops: Tensor, metadata: BatchMetadata, layout: BatchLayout) -> Image.Image:
    """The first reference in each view and group of the first tiny-batch: pristine, its levels.

    The severities are those of the function that a star marks.
    ``crops`` (N, 3, H, W) in [0, 1] in the order of ``layout``.
    """
    nodes = {tuple(place): node for node, place in enumerate(layout.coordinates.tolist())}
    rows, captions, titles = [], [], []
    for view in range(layout.views):
        for group in range(layout.groups):
            members = [nodes[0, view, 0, group, level] for level in range(layout.levels)]
            rows.append([to_image(crops[k]) for k in (nodes[0, view, 0, -1, -1], *members)])
            severities = metadata.varying_severity[0, group].tolist()
            captions.append(
                ["reference", *(f"severity* {severity:.2f}" for severity in severities)]
            )
            titles.append(f"{SCALES[view]} scale:\n{composition_text(metadata, 0, group)}")
    return contact_sheet(rows, captions, row_titles=titles)


def composition_text(metadata: BatchMetadata, tiny_batch: int, group: int) -> str:
    """The functions of a composition in order, a line each; a star marks the one that varies."""
    ids = [k for k in metadata.functions[tiny_batch, group].tolist() if k >= 0]
    varying = int(metadata.varying[tiny_batch, group])
    names = [ENTRIES[k].distortion.name for k in ids]
    return "\n".join(name + " *" * (place == varying) for place, name in enumerate(names))
