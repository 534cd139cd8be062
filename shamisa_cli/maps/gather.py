"""From what a map is asked to show to its points, and the points as a table."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from shamisa_cli.datasets.registry import open_dataset
from shamisa_cli.evaluation.frozen_encoder import FeatureSource
from shamisa_cli.evaluation.probe import draw
from shamisa_cli.imaging.paths import folder_error, list_photos
from shamisa_cli.maps.options import EmbedOptions
from shamisa_cli.maps.points import (
    Points,
    Unreadable,
    dataset_points,
    ladder_points,
    photo_points,
)

T = TypeVar("T")

LADDER_PHOTOS = 8
"""Photos whose ladders are on the map unless ``--sample`` says otherwise: 120 pictures each."""


def gather_points(
    source: FeatureSource, photos: Sequence[Path], asked: EmbedOptions, unreadable: Unreadable
) -> Points:
    """The pictures that are asked for, with their features.

    Parameters
    ----------
    photos : what the command's PATHS stand for.
    unreadable : called with the error of each photo that is left out.

    Raises
    ------
    PhotoError
        if a folder among ``photos`` cannot be listed: which photos are drawn would depend on it.
    """
    if asked.kind == "photos":
        for folder in filter(Path.is_dir, photos):
            raise folder_error(folder)
        return photo_points(source, _drawn(photos, asked.sample, asked.seed), unreadable)
    if asked.kind == "dataset":
        dataset = open_dataset(asked.dataset or "", asked.root)
        kept = _drawn(range(len(dataset.images)), asked.sample, asked.seed)
        some = dataclasses.replace(
            dataset, images=tuple(dataset.images[i] for i in kept), scores=dataset.scores[kept]
        )
        return dataset_points(source, some, unreadable)
    found = list_photos(asked.photos or Path())
    drawn = _drawn(found, asked.sample or LADDER_PHOTOS, asked.seed)
    return ladder_points(source.ladders(drawn, None, asked.seed, unreadable))


def _drawn(items: Sequence[T], count: int | None, seed: int) -> list[T]:
    return list(items) if count is None else draw(items, count, seed)


def write_csv(path: Path, points: Points, places: NDArray[np.float64]) -> None:
    """One line a picture: its photo, what is known of it, and its place on the map."""
    columns: dict[str, Sequence[object]] = {"path": points.photos}
    if points.distortions:
        columns["distortion"] = points.distortions
    columns |= points.values | {"x": places[:, 0].tolist(), "y": places[:, 1].tolist()}
    with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
