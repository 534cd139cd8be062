"""Datasets by name: where on disk they are, and whether they are all there."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from shamisa_cli.datasets.authentic import CLIVE, FLIVE, KONIQ, SPAQ
from shamisa_cli.datasets.dataset import Dataset, DatasetInfo, build_dataset
from shamisa_cli.datasets.own_csv import open_csv
from shamisa_cli.datasets.synthetic import CSIQ, KADID10K, LIVE, TID2013
from shamisa_cli.errors import UsageError, unknown_name
from shamisa_cli.imaging.ahead import map_ahead
from shamisa_cli.imaging.decode import decode

DATASETS = {info.name: info for info in (LIVE, CSIQ, TID2013, KADID10K, KONIQ, CLIVE, FLIVE, SPAQ)}
ROOT_VARIABLE = "SHAMISA_DATA"


def data_root(root: Path | None) -> Path | None:
    """``root``, or the environment variable SHAMISA_DATA, or None."""
    if root is not None:
        return root
    value = os.environ.get(ROOT_VARIABLE)
    return Path(value).expanduser() if value else None


def dataset_info(name: str) -> DatasetInfo:
    """What is known of the dataset ``name``; an UnknownNameError if nothing is."""
    if name not in DATASETS:
        raise unknown_name("dataset", name, DATASETS, "A file that ends in .csv is read as scores.")
    return DATASETS[name]


def find_folder(info: DatasetInfo, root: Path) -> Path | None:
    """The folder of a dataset: ``root`` itself, or a child of it with one of the usual names."""
    names = {name.casefold() for name in (info.name, *info.folders)}
    children = sorted(root.iterdir()) if root.is_dir() else []
    candidates = [child for child in children if child.name.casefold() in names]
    for folder in (*candidates, root):
        if any((folder / marker).is_file() for marker in info.markers):
            return folder
    return None


def open_dataset(name: str, root: Path | None = None) -> Dataset:
    """A dataset by its name or by the path of a CSV, with every file found.

    Parameters
    ----------
    name : of :data:`DATASETS`, or a path that ends in .csv.
    root : the folder in which datasets are looked for, default SHAMISA_DATA; for a CSV the folder
        that its paths are relative to, default its own.

    Raises
    ------
    UsageError
        for unknown names, absent datasets and missing files.
    """
    if name.casefold().endswith(".csv"):
        return open_csv(Path(name).expanduser(), root)
    info = dataset_info(name)
    where = data_root(root)
    if where is None:
        raise UsageError(
            f"where is {name}? root, or else {ROOT_VARIABLE}, must name the folder of your datasets"
        )
    folder = find_folder(info, where)
    if folder is None:
        raise UsageError(
            f"{name} is not in {where}: expected a folder {' or '.join(info.folders)} with "
            f"{info.layout}. Get it from {info.url}"
        )
    return build_dataset(info, folder, info.read(folder))


def state(info: DatasetInfo, root: Path | None) -> str:
    """One line: not found, incomplete and why, a part, or complete; pictures are not opened."""
    folder = find_folder(info, root) if root else None
    if folder is None:
        return "not found"
    try:
        listed = len(build_dataset(info, folder, info.read(folder)).images)
    except (UsageError, OSError) as error:
        return f"incomplete: {error}"
    if listed != info.n_images:
        return f"{listed} of {info.n_images} images: {folder}"
    return f"complete: {folder}"


def unreadable(
    paths: Sequence[Path], workers: int, progress: Callable[[int], object]
) -> list[tuple[Path, str]]:
    """(path, problem) of pictures that cannot be decoded; ``progress`` is called after each."""
    broken = []
    for path, problem in map_ahead(_decodes, paths, workers):
        if isinstance(problem, Exception):
            broken.append((path, str(problem)))
        progress(1)
    return broken


def _decodes(path: Path) -> None:
    """Decode and let go, so that no picture waits in memory."""
    decode(path)
