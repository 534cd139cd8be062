"""The probe of a study: one frozen encoder after another on the same photos and splits."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch

from shamisa_cli.datasets.dataset import Dataset
from shamisa_cli.datasets.registry import open_dataset
from shamisa_cli.encoders.encoder import Encoder
from shamisa_cli.errors import UsageError
from shamisa_cli.evaluation.datasets import readable_splits
from shamisa_cli.evaluation.evaluate import evaluate
from shamisa_cli.evaluation.frozen_encoder import FrozenEncoder, Skip, select_images
from shamisa_cli.evaluation.splits import choose_splits
from shamisa_cli.experiments.study_file import ProbeSettings
from shamisa_cli.seeds import generator
from shamisa_cli.settings import to_mapping

SAMPLES = 31
"""The random stream that draws a sample of a dataset."""

SplitMeasures = list[dict[str, float]]
"""Of each split, the measures of its test part by name."""


class Prober:
    """Measures encoders on one dataset. State: the dataset, its splits, and how it is looked at.

    Parameters
    ----------
    settings : what to measure.
    root : the folder of datasets, see :func:`~shamisa_cli.datasets.registry.open_dataset`.
    skip : called with the error of each photo that cannot be read.
    device, precision, workers : as for :class:`FrozenEncoder`.
    """

    def __init__(
        self,
        settings: ProbeSettings,
        root: Path | None,
        skip: Skip,
        *,
        device: str = "auto",
        precision: str = "auto",
        workers: int = 2,
    ) -> None:
        self.settings = settings
        self.dataset = sampled(open_dataset(settings.dataset, root), settings)
        self.splits = choose_splits(self.dataset, settings.splits, settings.seed, settings.split)
        self._skip = skip
        self._how: dict[str, Any] = {"device": device, "precision": precision, "workers": workers}

    def measure(self, encoder: Encoder) -> SplitMeasures:
        """The measures of ``encoder``, one of each a split."""
        frozen = FrozenEncoder("encoder", encoder, self.settings.protocol, **self._how)
        found = frozen.dataset(self.dataset, self._skip)
        splits = readable_splits(found, self.splits)
        return [each.measures for each in evaluate(found.features, found.dataset.scores, splits)]

    def facts(self) -> dict[str, Any]:
        """What its figures depend on, beside the encoder and what the photos show."""
        names = "\0".join(path.name for path in self.dataset.images)
        told = f"{names}\0{self.dataset.scores.tolist()}"
        images = {
            "images": len(self.dataset.images),
            "sha256": hashlib.sha256(told.encode("utf-8", "surrogateescape")).hexdigest(),
        }
        return {**to_mapping(self.settings), **images}


def sampled(dataset: Dataset, settings: ProbeSettings) -> Dataset:
    """``dataset``, or ``settings.sample`` of its images, drawn with the seed; too many are refused.

    Raises
    ------
    UsageError
        if the dataset has fewer images.
    """
    count, images = settings.sample, len(dataset.images)
    if count is None or count == images:
        return dataset
    if count > images:
        raise UsageError(f"probe: sample must be at most {images}, all of {dataset.info.name}")
    order = torch.randperm(images, generator=generator(settings.seed, SAMPLES))
    return select_images(dataset, order[:count].sort().values.tolist())
