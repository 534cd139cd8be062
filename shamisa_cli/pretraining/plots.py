"""Pictures of a run: its losses, its α, its edges; and a sheet of one mini-batch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from shamisa_cli.distortions.layout import BatchLayout
from shamisa_cli.distortions.metadata import BatchMetadata
from shamisa_cli.distortions.registry import ENTRIES
from shamisa_cli.imaging.sheet import contact_sheet

TERMS = ("total", "invariance", "variance", "covariance", "auxiliary", "regulariser")


def plot_run(records: Sequence[dict[str, Any]], folder: Path) -> list[Path]:
    """Write losses.png and graphs.png from a run's log; an empty list without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return []
    steps = [record["step"] for record in records]
    losses = Figure(figsize=(11, 6), layout="constrained")
    for axes, term in zip(losses.subplots(2, 3).flat, TERMS, strict=True):
        axes.plot(steps, [record[term] for record in records], lw=0.5, alpha=0.4)
        axes.plot(steps, smoothed([record[term] for record in records]), lw=1.5)
        axes.set(title=term, xlabel="step")
    graphs = Figure(figsize=(11, 4), layout="constrained")
    for axes, key in zip(graphs.subplots(1, 2), ("alpha", "edges"), strict=True):
        for name in records[-1][key]:
            axes.plot(steps, [record[key][name] for record in records], lw=1, label=name)
        axes.set(title=key, xlabel="step")
        axes.legend(fontsize=7)
    made = []
    for figure, name in ((losses, "losses.png"), (graphs, "graphs.png")):
        figure.savefig(folder / name, dpi=110)
        made.append(folder / name)
    return made


def smoothed(values: Sequence[float], decay: float = 0.95) -> list[float]:
    """Exponential moving average of a curve."""
    average, out = values[0], []
    for value in values:
        average = decay * average + (1 - decay) * value
        out.append(average)
    return out


def batch_sheet(crops: Tensor, metadata: BatchMetadata, layout: BatchLayout) -> Image.Image:
    """The first reference in each view and group of the first tiny-batch: pristine, its levels.

    ``crops`` (N, 3, H, W) in [0, 1] in the order of ``layout``.
    """
    nodes = {tuple(place): node for node, place in enumerate(layout.coordinates.tolist())}
    rows, captions, titles = [], [], []
    for view in range(layout.views):
        for group in range(layout.groups):
            members = [nodes[0, view, 0, group, level] for level in range(layout.levels)]
            rows.append([_picture(crops[k]) for k in (nodes[0, view, 0, -1, -1], *members)])
            severities = metadata.varying_severity[0, group].tolist()
            captions.append(["reference", *(f"severity {severity:.2f}" for severity in severities)])
            titles.append(composition_text(metadata, 0, group))
    return contact_sheet(rows, captions, row_titles=titles)


def composition_text(metadata: BatchMetadata, tiny_batch: int, group: int) -> str:
    """The functions of a composition in order, a line each; a star marks the one that varies."""
    ids = [k for k in metadata.functions[tiny_batch, group].tolist() if k >= 0]
    varying = int(metadata.varying[tiny_batch, group])
    names = [ENTRIES[k].distortion.name for k in ids]
    return "\n".join(name + " *" * (place == varying) for place, name in enumerate(names))


def _picture(crop: Tensor) -> Image.Image:
    pixels = (crop.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
    return Image.fromarray(np.ascontiguousarray(pixels))
