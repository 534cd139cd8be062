"""A picture of predictions against human scores, with the best and worst photos."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shamisa_cli.evaluation.datasets import DatasetResult
from shamisa_cli.evaluation.evaluate import SplitResult
from shamisa_cli.evaluation.measures import fit_logistic, logistic
from shamisa_cli.files import MARK, replacing, writing
from shamisa_cli.imaging.decode import decode
from shamisa_cli.imaging.resample import limit_short_side
from shamisa_cli.imaging.save import marked_exif

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = 4
"""Photos at each end."""
THUMBNAIL = 256


def plot_predictions(found: DatasetResult, path: Path) -> None:
    """Write a picture of the split with the median SRCC, test part only.

    Above, predicted against human scores with the fitted 4-parameter logistic; below, the photos
    with the highest and the lowest predictions.
    """
    from matplotlib.figure import Figure

    result = _median_result(found)
    figure = Figure(figsize=(10, 11), layout="constrained")
    grid = figure.add_gridspec(4, SHOWN)
    _scatter(figure.add_subplot(grid[:2, :]), found, result)
    order = np.argsort(-result.predictions, kind="stable")
    _photos(figure, grid, 2, "best", order[:SHOWN], found, result)
    _photos(figure, grid, 3, "worst", order[::-1][:SHOWN], found, result)
    save_figure(figure, path)


def save_figure(figure: Figure, path: Path) -> None:
    """Write a picture in the format of the file's ending, with the mark by which it is ours."""
    kind = path.suffix[1:].casefold()
    mark: dict[str, Any] = {}
    if kind in ("png", "svg", "pdf", "ps", "eps"):
        mark = {"metadata": {"Software" if kind == "png" else "Creator": MARK}}
    elif kind in ("jpg", "jpeg", "tif", "tiff", "webp", "avif"):
        mark = {"pil_kwargs": {"exif": marked_exif()}}
    with writing(path), replacing(path) as part:
        figure.savefig(part, format=kind, dpi=110, **mark)


def _median_result(found: DatasetResult) -> SplitResult:
    """The split whose SRCC is the median (the lower one of two)."""
    ordered = sorted(found.results, key=lambda result: result.measures["srcc"])
    return ordered[(len(ordered) - 1) // 2]


def _scatter(axes: Any, found: DatasetResult, result: SplitResult) -> None:
    scores = found.dataset.scores[result.test].numpy()
    axes.scatter(result.predictions, scores, s=14, alpha=0.6, label="photos of the test part")
    x = np.linspace(result.predictions.min(), result.predictions.max(), 200)
    curve = logistic(x, *fit_logistic(result.predictions, scores))
    axes.plot(x, curve, color="tab:red", label="4-parameter logistic")
    measures = result.measures
    axes.set_title(
        f"{found.dataset.info.title}\nSRCC {measures['srcc']:.3f}, "
        f"PLCC {measures['plcc_logistic']:.3f} after the logistic (the median split)"
    )
    axes.set_xlabel("predicted score")
    axes.set_ylabel("human score, higher is better")
    axes.legend(loc="upper left")


def _photos(
    figure: Figure,
    grid: Any,
    row: int,
    title: str,
    chosen: np.ndarray,
    found: DatasetResult,
    result: SplitResult,
) -> None:
    for column, i in enumerate(chosen):
        image = int(result.test[i])
        axes = figure.add_subplot(grid[row, column])
        photo = limit_short_side(decode(found.dataset.images[image]), THUMBNAIL)
        axes.imshow(np.asarray(photo))
        axes.set_axis_off()
        axes.set_title(
            f"{title} {column + 1}: predicted {result.predictions[i]:.1f}\n"
            f"(human {float(found.dataset.scores[image]):.1f})",
            fontsize=9,
        )
