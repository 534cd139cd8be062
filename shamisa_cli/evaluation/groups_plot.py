"""A picture of how well predictions follow human scores within each kind of distortion."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from shamisa_cli.evaluation.groups import KINDS, Group
from shamisa_cli.evaluation.plot import save_figure

_ROW = 0.3
"""Inches for each group."""
_WIDTH = 6.5


def plot_groups(groups: Sequence[Group], path: Path) -> None:
    """Write a picture: a column for each dataset, above its distortions, below its levels.

    A dot is the median SRCC over the splits, its line one standard deviation to either side, a
    ring the median PLCC; each model has a color. Groups that could not be measured say so.
    """
    from matplotlib.figure import Figure

    datasets = list(dict.fromkeys(group.dataset for group in groups))
    models = list(dict.fromkeys(group.model for group in groups))
    parts = {
        (dataset, by): [each for each in groups if (each.dataset, each.by) == (dataset, by)]
        for dataset in datasets
        for by in KINDS
    }
    heights = [
        max(len({each.name for each in parts[dataset, by]}) for dataset in datasets) for by in KINDS
    ]
    kinds = [by for by, height in zip(KINDS, heights, strict=True) if height]
    ratios = [height + 1 for height in heights if height]
    size = (_WIDTH * len(datasets), _ROW * sum(ratios) + 1.6)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(
        len(kinds), len(datasets), squeeze=False, sharex=True, height_ratios=ratios
    )
    for row, by in enumerate(kinds):
        for column, dataset in enumerate(datasets):
            axes = grid[row][column]
            if not parts[dataset, by]:
                axes.set_axis_off()
                axes.text(0.5, 0.9, f"{dataset}: no {by} known", transform=axes.transAxes)
                continue
            _draw(axes, parts[dataset, by], models)
            axes.set(title=f"{dataset}, by {by}", xlabel="correlation of predictions with scores")
            axes.tick_params(labelbottom=True)
    grid[0][0].set_xlim(right=1.02)  # lines of one deviation may end beyond
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=8)
    save_figure(figure, path)


def _draw(axes: Any, groups: Sequence[Group], models: Sequence[str]) -> None:
    """The groups of one dataset from top to bottom; models lie beside each other."""
    names = list(dict.fromkeys(group.name for group in groups))
    room = 0.4 / max(1, len(models) - 1)
    for k, model in enumerate(models):
        own = [each for each in groups if each.model == model]
        places = [names.index(each.name) + (k - (len(models) - 1) / 2) * room for each in own]
        srcc, plcc = ([each.measures[name] for each in own] for name in ("srcc", "plcc"))
        values, spread = [each.median for each in srcc], [each.std for each in srcc]
        style = {"color": f"C{k}", "label": f"{model}: SRCC"}
        axes.errorbar(values, places, xerr=spread, fmt="o", ms=5, capsize=2, **style)
        rings = [each.median for each in plcc]
        axes.plot(rings, places, "o", ms=8, mfc="none", color=f"C{k}", label=f"{model}: PLCC")
        for each, place in zip(own, places, strict=True):
            if not each.splits:
                axes.annotate(
                    "too few images, or all of one score",
                    (0.5, place),
                    xycoords=("axes fraction", "data"),
                    ha="center",
                    va="center",
                    fontsize=7,
                    color="gray",
                )
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.axvline(0, color="gray", lw=0.8)
    axes.grid(lw=0.4)
