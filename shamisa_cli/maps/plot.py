"""The picture of maps of features."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shamisa_cli.distortions.registry import CATEGORIES, DISTORTIONS
from shamisa_cli.evaluation.plot import save_figure
from shamisa_cli.imaging.decode import decode_photo
from shamisa_cli.imaging.resample import rescale
from shamisa_cli.maps.points import Points
from shamisa_cli.maps.report import FeatureMap

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MARKERS = "osD^vP"
"""Of the distortions of one category, which share a hue."""
_HUES = ("tab:blue", "tab:pink", "tab:brown", "tab:orange", "tab:gray", "tab:green", "tab:red")
"""Of the categories."""
_BAR_TITLES = {
    "severity": "severity λ",
    "mos": "human score, higher is better",
    "score": "score, higher is better",
}
_BAR_COLORS = {"severity": "plasma_r", "mos": "viridis", "score": "viridis"}
_MORE_HUES = ("black", "gold", "lime", "navy", "darkred")
_FOLDERS = 10 + len(_MORE_HUES)
"""Folders with a color of their own."""
_LONGEST = 32
"""Letters of a folder's name in the legend."""
_SHOWN = 14
"""Photos that are shown beside their marks."""
_THUMBNAIL = (132, 84)
"""Width and height that they fit into, px."""
_SMALL, _LARGE = 10.0, 46.0
"""Areas of the marks, points²."""


def plot_maps(maps: Sequence[FeatureMap], color: str, title: str, path: Path) -> None:
    """Write the maps of one or several encoders, a panel each, of the same pictures.

    Parameters
    ----------
    color : ``distortion``, ``dataset``, ``folder``, ``none``, or one of ``points.values``.
    """
    from matplotlib.figure import Figure

    columns = 1 if len(maps) == 1 else 2
    rows = math.ceil(len(maps) / columns)
    size = (11, 8) if columns == 1 else (16, 1 + 6.5 * rows)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, each in zip(panels, maps, strict=False):
        _draw(axes, each, color)
        axes.set_title(title if columns == 1 else each.name)
    for empty in panels[len(maps) :]:
        empty.remove()
    if columns > 1:
        figure.suptitle(title)
    _explain(figure, list(panels[: len(maps)]), color, maps)
    save_figure(figure, path)


def _draw(axes: Any, drawn: FeatureMap, color: str) -> None:
    points, places = drawn.points, drawn.places
    sizes = _sizes(points)
    if color == "distortion":
        _by_distortion(axes, points.distortions, places, sizes)
    elif color in ("dataset", "folder", "none"):
        _by_name(axes, _names(points, color), places, sizes)
    else:
        _by_value(axes, np.array(points.values[color]), places, sizes, color)
    axes.set(xticks=[], yticks=[])
    axes.margins(0.04)
    if not points.distortions:
        axes.margins(0.08, 0.04)
        low, high = axes.get_ylim()
        axes.set_ylim(low, high + 0.12 * (high - low))  # room for photos
        _show_photos(axes, points.photos, places)


def _names(points: Points, color: str) -> list[str]:
    if color == "dataset":
        return list(points.datasets)
    return folder_names(points.photos) if color == "folder" else [""] * len(points.photos)


def _explain(figure: Figure, panels: list[Any], color: str, maps: Sequence[FeatureMap]) -> None:
    """What the colors mean, once for all panels: a legend, or a bar of one range."""
    if color in _BAR_TITLES:
        values = [each.points.values[color] for each in maps]
        for axes in panels:
            axes.collections[0].set_clim(min(map(min, values)), max(map(max, values)))
        marks = panels[0].collections[0]
        bar: Any = figure.colorbar(marks, ax=panels, label=_BAR_TITLES[color], shrink=0.8)
        bar.solids.set_alpha(1)
        return
    handles, labels = panels[0].get_legend_handles_labels()
    if len(handles) > 1:
        title = "larger is more severe" if color == "distortion" else color
        figure.legend(
            handles,
            labels,
            loc="outside right center",
            frameon=False,
            title=title,
            fontsize=9 if color == "distortion" else None,
        )


def _sizes(points: Points) -> NDArray[np.float64]:
    """(n,) areas of the marks: larger with the severity, smaller where there are many."""
    severity = np.array(points.values.get("severity", np.full(len(points.photos), 0.5)))
    crowd = np.clip(40 / np.sqrt(len(severity)), 0.3, 1.5)
    return (_SMALL + (_LARGE - _SMALL) * severity) * crowd


def _by_distortion(
    axes: Any, names: tuple[str, ...], places: NDArray[np.float64], sizes: NDArray[np.float64]
) -> None:
    """A hue for each category, a mark for each of its distortions; the legend tells them apart."""
    shown = np.array(names)
    for category, hue in zip(CATEGORIES, _HUES, strict=True):
        members = [d.name for d in DISTORTIONS.values() if d.category == category]
        present = [(n, m) for n, m in zip(members, _MARKERS, strict=False) if n in names]
        if present:
            axes.scatter([], [], alpha=0, label=category.replace("_", " and ").upper())
        for name, marker in present:
            here = shown == name
            style: dict[str, Any] = {"c": hue, "marker": marker, "label": name.replace("_", " ")}
            axes.scatter(*places[here].T, s=sizes[here], alpha=0.75, linewidths=0, **style)


def _by_value(
    axes: Any,
    values: NDArray[np.float64],
    places: NDArray[np.float64],
    sizes: NDArray[np.float64],
    color: str,
) -> None:
    order = np.argsort(values, kind="stable")  # high values on top, whatever the files' order
    axes.scatter(
        *places[order].T,
        c=values[order],
        s=sizes[order],
        cmap=_BAR_COLORS[color],
        alpha=0.85,
        linewidths=0,
    )


def folder_names(photos: Sequence[Path]) -> list[str]:
    """The folder of each photo, below the one that all have in common.

    Where there are more folders than colors, those with the fewest photos are one.
    """
    parents = [photo.parent.absolute() for photo in photos]
    common = Path(os.path.commonpath(parents))
    below = [parent.relative_to(common).as_posix() for parent in parents]
    names = [common.name if name == "." else name for name in below]
    counts = Counter(names).most_common()
    if len(counts) > _FOLDERS:
        named = {name for name, _ in counts[: _FOLDERS - 1]}
        rest = f"{len(counts) - len(named)} other folders"
        names = [name if name in named else rest for name in names]
    return names


def _by_name(
    axes: Any, names: Sequence[str], places: NDArray[np.float64], sizes: NDArray[np.float64]
) -> None:
    """A color for each name; the legend tells them apart, if there are several."""
    own = np.array(names)
    for k, name in enumerate(sorted(set(names))):
        here = own == name
        hue = f"C{k}" if k < 10 else _MORE_HUES[(k - 10) % len(_MORE_HUES)]
        shown = name if len(name) <= _LONGEST else f"…{name[-_LONGEST:]}"
        label = f" {shown} ({here.sum()})".replace("$", r"\$")
        axes.scatter(*places[here].T, s=sizes[here], c=hue, linewidths=0, label=label)


def _show_photos(axes: Any, photos: Sequence[Path], places: NDArray[np.float64]) -> None:
    """Some photos above their marks, so that one sees what is where."""
    from matplotlib.offsetbox import AnnotationBbox, OffsetImage

    for i in spread_out(places, _SHOWN):
        decoded = decode_photo(photos[i], max_side=max(_THUMBNAIL)).image
        factor = min(1.0, _THUMBNAIL[0] / decoded.width, _THUMBNAIL[1] / decoded.height)
        picture = OffsetImage(np.asarray(rescale(decoded, factor)), zoom=0.5)
        box = AnnotationBbox(
            picture,
            places[i],
            xybox=(0, 12),
            boxcoords="offset points",
            box_alignment=(0.5, 0),
            pad=0.1,
            arrowprops={"arrowstyle": "-", "linewidth": 0.8},
        )
        axes.add_artist(box)


def spread_out(places: NDArray[np.float64], count: int) -> list[int]:
    """Up to ``count`` of ``places`` (n, 2), each as far as can be from those before it.

    The first is the nearest to the middle.
    """
    distance = np.linalg.norm(places - places.mean(0), axis=1)
    chosen = [int(distance.argmin())]
    distance = np.full(len(places), np.inf)
    while len(chosen) < min(count, len(places)):
        distance = np.minimum(distance, np.linalg.norm(places - places[chosen[-1]], axis=1))
        chosen.append(int(distance.argmax()))
    return chosen
