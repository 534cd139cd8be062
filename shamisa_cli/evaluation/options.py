"""What a probe is asked to do, and what cannot be meant; refused before anything is computed."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from shamisa_cli.datasets.dataset import Dataset
from shamisa_cli.errors import UsageError
from shamisa_cli.evaluation.splits import SplitKind
from shamisa_cli.models.heads import check_head_name

MIN_LADDER_PHOTOS = 5
"""So that there are some to fit, to choose and to measure."""


@dataclass(frozen=True)
class ProbeOptions:
    """The options of ``shamisa probe``, by their names there."""

    datasets: tuple[str, ...]
    root: Path | None
    model: str
    random: bool
    splits: int
    split: SplitKind
    seed: int
    test_on: tuple[str, ...]
    crops: Literal["five", "whole"] | None
    fr: bool
    save_head: str | None
    with_ladder: Path | None
    ladder_photos: int
    ladder_per_photo: int
    ladder_weight: float
    ladder_gap: float
    ladder_drop: float
    calibrate: bool
    photos: Path | None
    head: str | None
    csv: Path | None
    json: Path | None
    markdown: Path | None
    plot: Path | None
    features_cache: Path | None
    device: str
    precision: str
    workers: int
    quiet: bool


def check_options(asked: ProbeOptions) -> None:
    """Refuse combinations that cannot be meant.

    Raises
    ------
    UsageError
        which says what to give instead.
    """
    _check_ladder(asked)
    _check_head(asked)
    _check_names(asked)
    check_files((asked.csv, asked.json, asked.markdown, asked.plot), asked.plot)


def by_name(datasets: Iterable[Dataset]) -> dict[str, Dataset]:
    """Datasets by name; one that is there twice counts once.

    Raises
    ------
    UsageError
        for different ones of one name, which no table could tell apart; it names both.
    """
    found: dict[str, Dataset] = {}
    for dataset in datasets:
        name, title = dataset.info.name, dataset.info.title
        first = found.setdefault(name, dataset).info.title
        if first != title:
            raise UsageError(f"{first} and {title} are both called {name}; rename one")
    return found


def _check_names(asked: ProbeOptions) -> None:
    for option, names in (("--dataset", asked.datasets), ("--test-on", asked.test_on)):
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise UsageError(f"{option} has {twice[0]} twice")


def _check_ladder(asked: ProbeOptions) -> None:
    if "ladder" not in asked.datasets:
        for option, value in (("--head", asked.head), ("--photos", asked.photos)):
            if value:
                raise UsageError(
                    f"{option} is for --dataset ladder, which tests a head; "
                    "a dataset with human scores is fitted anew on each split"
                )
        return
    if len(asked.datasets) > 1 or asked.test_on or asked.save_head or asked.fr or asked.random:
        raise UsageError("--dataset ladder stands alone: it fits nothing, it tests a head")
    if asked.photos is None:
        raise UsageError("--dataset ladder makes ladders of photos: give --photos FOLDER")
    if asked.plot:
        raise UsageError("--dataset ladder has no --plot; a map of ladders: shamisa embed")


def _check_head(asked: ProbeOptions) -> None:
    if asked.with_ladder and not asked.save_head:
        raise UsageError("--with-ladder is a part of the fit that --save-head keeps; give both")
    if asked.calibrate and not asked.with_ladder:
        raise UsageError("--calibrate needs good photos, as they are and damaged: --with-ladder")
    if not asked.save_head:
        return
    check_head_name(asked.save_head)
    if asked.fr:
        raise UsageError("--fr heads cannot be saved: scoring a photo has no reference to compare")
    if len(asked.datasets) > 1:
        raise UsageError("--save-head fits one head on one dataset; give one --dataset")


def check_ladder_options(asked: ProbeOptions, given: Iterable[str]) -> None:
    """Refuse options of ladders where no ladders are made.

    Parameters
    ----------
    given : the options that stand on the command line, such as ``--ladder-gap``.

    Raises
    ------
    UsageError
        which names the first.
    """
    if asked.with_ladder or "ladder" in asked.datasets:
        return
    for option in given:
        if option.startswith("--ladder-"):
            raise UsageError(f"{option} says nothing without --with-ladder FOLDER")


def check_ladder_photos(folder: Path, count: int) -> None:
    """Refuse ladders of fewer than :data:`MIN_LADDER_PHOTOS` photos of ``folder``."""
    if count < MIN_LADDER_PHOTOS:
        raise UsageError(f"{folder}: {count} photos; ladders need at least {MIN_LADDER_PHOTOS}")


def check_files(paths: Iterable[Path | None], plot: Path | None) -> None:
    """Refuse files that cannot be written, and a picture that cannot be drawn.

    Raises
    ------
    UsageError
        for a missing folder, a missing matplotlib, or an ending that names no picture format.
    """
    for path in paths:
        if path and not path.parent.is_dir():
            raise UsageError(f"{path}: there is no folder {path.parent} to write it in")
    if plot is None:
        return
    if importlib.util.find_spec("matplotlib") is None:
        raise UsageError("--plot needs matplotlib: pip install 'shamisa[plots]'")
    from matplotlib.backend_bases import FigureCanvasBase

    kinds = FigureCanvasBase.get_supported_filetypes()
    if plot.suffix[1:].casefold() not in kinds:
        raise UsageError(f"{plot}: its ending names no picture format; use .png, .svg or .pdf")
