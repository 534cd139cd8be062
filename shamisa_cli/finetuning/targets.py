"""What is learned of each image: its score, and with ``kinds`` what was done to it."""

from __future__ import annotations

import torch
from torch import Tensor

from shamisa_cli.datasets.dataset import Dataset
from shamisa_cli.datasets.tables import to_number
from shamisa_cli.errors import UsageError


def targets_of(dataset: Dataset, *, kinds: bool) -> Tensor:
    """(n, 1+k) float64: the scores, and the severity of each of k kinds of damage.

    A column of a kind is 0 where an image has another kind. The dataset's highest severity is as
    much as its range of scores, so in the same unit as these: one point counts one point.

    Raises
    ------
    UsageError
        if the dataset does not say of each image what was done to it, and how strongly.
    """
    scores = dataset.scores.double()[:, None]
    if not kinds:
        return scores
    severities = _severities(dataset)
    names = sorted({d for d, s in zip(dataset.distortions, severities.tolist(), strict=True) if s})
    there = torch.tensor([[kind == name for name in names] for kind in dataset.distortions])
    low, high = dataset.info.score_range
    unit = (high - low) / severities.max()
    return torch.cat([scores, there * severities[:, None] * unit], dim=1)


def _severities(dataset: Dataset) -> Tensor:
    """(n,) float64, as the dataset counts its levels."""
    name = dataset.info.name
    if not (dataset.distortions and dataset.severities):
        raise UsageError(
            f"{name} does not say what was done to its images: kinds needs the columns distortion "
            "and severity, as in labels.csv of shamisa distort --labels"
        )
    pairs = zip(dataset.images, dataset.severities, strict=True)
    made = [to_number(each, f"kinds of {name}: {image}", "severity") for image, each in pairs]
    if max(made) <= 0:
        raise UsageError(f"{name}: no image is damaged, by the column severity; leave kinds out")
    return torch.tensor(made, dtype=torch.float64)
