"""What a map of features shows: pictures with their features, and what is known of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shamisa_cli.datasets.dataset import Dataset
from shamisa_cli.distortions.pictures import LEVELS
from shamisa_cli.evaluation.frozen_encoder import FrozenEncoder, Skip, select_images
from shamisa_cli.evaluation.report import csv_text
from shamisa_cli.files import write_text
from shamisa_cli.imaging.paths import folder_error
from shamisa_cli.ladders.ladder import Ladders, draw
from shamisa_cli.models.head import Head
from shamisa_cli.spelling import escape_name


@dataclass(frozen=True, eq=False)
class Points:
    """n pictures.

    Attributes
    ----------
    features : (n, F) float32, the mean over the crops.
    photos : n paths; several pictures may be made of one photo.
    distortions : n names, or empty if the pictures are as they are.
    datasets : n names of where each is from, or empty if they are of none.
    values : numbers by what they mean, n each: ``severity`` (λ, 0-1), ``mos`` (the dataset's units,
        higher is better), ``score`` (0-100).
    """

    features: Tensor
    photos: tuple[Path, ...]
    distortions: tuple[str, ...] = ()
    values: dict[str, tuple[float, ...]] = field(default_factory=dict)
    datasets: tuple[str, ...] = ()

    @property
    def what(self) -> str:
        """How many pictures, and of how many photos these are made."""
        made_of = f" made of {len(set(self.photos))} photos" if self.distortions else ""
        return f"{len(self.photos)} pictures{made_of}"


def photo_points(
    frozen: FrozenEncoder, photos: Sequence[Path], skip: Skip, sample: int | None, seed: int
) -> Points:
    """Photos as they are; ``sample`` of them if that is given.

    Raises
    ------
    PhotoError
        if a folder among ``photos`` cannot be listed: which photos are drawn would depend on it.
    """
    for folder in filter(Path.is_dir, photos):
        raise folder_error(folder)
    drawn = draw(photos, sample, seed)
    kept, features = frozen.features(drawn, skip, mean=True)
    return Points(features, tuple(drawn[i] for i in kept))


def dataset_points(
    frozen: FrozenEncoder, dataset: Dataset, skip: Skip, sample: int | None, seed: int
) -> Points:
    """Photos with human scores; ``sample`` of them if that is given."""
    some = select_images(dataset, draw(range(len(dataset.images)), sample, seed))
    kept, features = frozen.features(some.images, skip, some.info.short_side, mean=True)
    mos = tuple(some.scores[kept].tolist())
    photos = tuple(some.images[i] for i in kept)
    names = (dataset.info.name,) * len(kept)
    return Points(features, photos, values={"mos": mos}, datasets=names)


def joined_points(parts: Sequence[Points]) -> Points:
    """The pictures of several datasets, one after another."""
    return Points(
        torch.cat([part.features for part in parts]),
        tuple(photo for part in parts for photo in part.photos),
        values={"mos": tuple(value for part in parts for value in part.values["mos"])},
        datasets=tuple(name for part in parts for name in part.datasets),
    )


def ladder_points(ladders: Ladders) -> Points:
    """Every level of every ladder, ladder by ladder, mildest first."""
    n, levels = ladders.features.shape[:2]
    return Points(
        ladders.features.flatten(0, 1),
        tuple(photo for photo in ladders.photos for _ in range(levels)),
        tuple(name for name in ladders.distortions for _ in range(levels)),
        {"severity": LEVELS * n},
    )


def score_points(points: Points, head: Head) -> tuple[float, ...]:
    """What ``head`` says of each picture: n scores, 0-100."""
    return tuple(head.score(row[None]).score for row in points.features)


def write_csv(path: Path, maps: Sequence[tuple[str, Points, NDArray[np.float64]]]) -> None:
    """One line a picture: its photo, what is known of it, and its place on the map.

    Of several ``maps``, one after another, with the name of each one's encoder.
    """
    several = len(maps) > 1
    tables = [_columns(name if several else "", each, places) for name, each, places in maps]
    lines = (line for table in tables for line in zip(*table.values(), strict=True))
    write_text(path, csv_text([list(tables[0]), *lines]))


def _columns(name: str, points: Points, places: NDArray[np.float64]) -> dict[str, Sequence[object]]:
    columns: dict[str, Sequence[object]] = {
        "path": [escape_name(str(photo)) for photo in points.photos]
    }
    if name:
        columns["model"] = [name] * len(points.photos)
    if len(set(points.datasets)) > 1:
        columns["dataset"] = points.datasets
    if points.distortions:
        columns["distortion"] = points.distortions
    return columns | points.values | {"x": places[:, 0].tolist(), "y": places[:, 1].tolist()}
