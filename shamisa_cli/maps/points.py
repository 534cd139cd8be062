"""What a map of features shows: pictures with their features, and what is known of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from shamisa_cli.datasets.dataset import Dataset
from shamisa_cli.distortions.pictures import LEVELS
from shamisa_cli.errors import PhotoError
from shamisa_cli.evaluation.frozen_encoder import FeatureSource
from shamisa_cli.ladders.ladder import Ladders
from shamisa_cli.models.head import Head

Unreadable = Callable[[PhotoError], object]


@dataclass(frozen=True, eq=False)
class Points:
    """n pictures.

    Attributes
    ----------
    features : (n, F) float32, the mean over the crops.
    photos : n paths; several pictures may be made of one photo.
    distortions : n names, or empty if the pictures are as they are.
    values : numbers by what they mean, n each: ``severity`` (λ, 0-1), ``mos`` (the dataset's units,
        higher is better), ``score`` (0-100).
    """

    features: Tensor
    photos: tuple[Path, ...]
    distortions: tuple[str, ...] = ()
    values: dict[str, tuple[float, ...]] = field(default_factory=dict)


def photo_points(source: FeatureSource, photos: Sequence[Path], unreadable: Unreadable) -> Points:
    """Photos as they are."""
    kept, features = source.means(photos, unreadable)
    return Points(features, tuple(photos[i] for i in kept))


def dataset_points(source: FeatureSource, dataset: Dataset, unreadable: Unreadable) -> Points:
    """Photos with human scores."""
    kept, features = source.means(dataset.images, unreadable, dataset.info.short_side)
    scores = dataset.scores.tolist()
    return Points(
        features,
        tuple(dataset.images[i] for i in kept),
        values={"mos": tuple(scores[i] for i in kept)},
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
