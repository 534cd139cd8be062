"""Severity ladders as a data set to probe: do frozen features know how strong a distortion is?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch

from shamisa_cli.datasets.dataset import Dataset, DatasetInfo
from shamisa_cli.distortions.pictures import LEVELS
from shamisa_cli.evaluation.datasets import DatasetResult, evaluate_dataset
from shamisa_cli.evaluation.frozen_encoder import DatasetFeatures, FrozenEncoder, Skip
from shamisa_cli.evaluation.splits import choose_splits
from shamisa_cli.ladders.extract import extract_ladders
from shamisa_cli.ladders.ladder import Ladders

Label = Literal["severity", "mdsi"]
"""What takes the place of human scores: 1 − λ, or 1 − MDSI from the photo as it is."""
LABELS: tuple[Label, ...] = ("severity", "mdsi")


def probe_ladders(
    frozen: FrozenEncoder,
    photos: Sequence[Path],
    label: Label,
    splits: dict[str, Any],
    skip: Skip,
) -> DatasetResult:
    """A ridge fitted to ladders, and measured on those of photos that it has not seen.

    Parameters
    ----------
    photos : each under 24 distortions at five levels.
    label : see :data:`Label`.
    splits : keywords of :func:`choose_splits`; its seed also decides the distortions' draws.
    skip : called with the error of each photo that cannot be read.

    Raises
    ------
    UsageError
        for photos that are too few to split.
    """
    ladders = extract_ladders(frozen, photos, skip, seed=splits["seed"])
    found = ladder_features(ladders, label)
    return evaluate_dataset(frozen.name, found, choose_splits(found.dataset, **splits))


def ladder_features(ladders: Ladders, label: Label) -> DatasetFeatures:
    """Every level of every ladder as an image of a data set, with the mean features over crops.

    Labeled by severity, levels have no figures of their own: in each all labels are one number.
    """
    n, levels = ladders.features.shape[:2]
    severities: tuple[str, ...] = ()
    if label == "severity":
        scores = 1 - torch.tensor(LEVELS, dtype=torch.float64).repeat(n)
    else:
        scores = 1 - ladders.damage.double().flatten()
        severities = tuple(f"{level:g}" for level in LEVELS) * n
    photos = tuple(photo for photo in ladders.photos for _ in range(levels))
    info = DatasetInfo(
        name="ladder",
        title=f"severity ladders of {len(set(photos))} photos",
        n_images=len(photos),
        score_range=(0, 1),
        higher_is_better=True,
        read=lambda _: [],
    )
    dataset = Dataset(
        info,
        photos,
        scores,
        tuple(map(str, photos)),
        distortions=tuple(name for name in ladders.distortions for _ in range(levels)),
        severities=severities,
    )
    return DatasetFeatures(
        dataset, list(range(len(photos))), ladders.features.flatten(0, 1)[:, None], 0
    )
