"""What else judges the kept state of a split, beside its test part: other datasets, and ladders."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean

import torch
from torch import Tensor

from shamisa_cli.datasets.dataset import Dataset
from shamisa_cli.evaluation.datasets import fit_to_100, measure_across
from shamisa_cli.evaluation.feature_cache import file_digest
from shamisa_cli.evaluation.frozen_encoder import DatasetFeatures, FrozenEncoder, Skip, stop_at
from shamisa_cli.evaluation.ridge import fit_ridge, image_features
from shamisa_cli.evaluation.splits import Split
from shamisa_cli.finetuning.ladders import LadderPart
from shamisa_cli.finetuning.run import Finetuned, features_of
from shamisa_cli.finetuning.same_run import scored_digest
from shamisa_cli.ladders.extract import extract_ladders
from shamisa_cli.ladders.ladder import Ladders, score_ladders


@dataclass(frozen=True)
class Both:
    """Measures by name: of the linear probe of a split, and of the state that was kept there."""

    probe: dict[str, float]
    tuned: dict[str, float]


@dataclass(frozen=True, eq=False)
class Judges:
    """What judges every kept state.

    Attributes
    ----------
    datasets : others than that of the run, see :func:`other_dataset`.
    ladders : whose held part judges; the others take part in training.
    """

    datasets: Sequence[DatasetFeatures] = ()
    ladders: LadderPart | None = None

    @property
    def names(self) -> list[str]:
        """Of the datasets."""
        return [other.dataset.info.name for other in self.datasets]

    @cached_property
    def digests(self) -> dict[str, str]:
        """What is judged by: each dataset's scored images, and the photos of ladders."""
        found = {
            f"dataset {other.dataset.info.name}": scored_digest(other.dataset)
            for other in self.datasets
        }
        if self.ladders:
            each = [file_digest(path) for path in self.ladders.held_photos]
            found["ladders"] = f"{self.ladders.seed} {' '.join(each)}"
        return found

    def on_datasets(
        self, made: Finetuned, frozen: FrozenEncoder, found: DatasetFeatures, split: Split
    ) -> dict[str, Both]:
        """:func:`judge_on_dataset` by name."""
        both = (judge_on_dataset(made, frozen, found, split, each) for each in self.datasets)
        return dict(zip(self.names, both, strict=True))

    def on_ladders(
        self, made: Finetuned, frozen: FrozenEncoder, found: DatasetFeatures, split: Split
    ) -> Both | None:
        """:func:`judge_on_ladders`, if ladders take part."""
        part = self.ladders
        return judge_on_ladders(made, frozen, found, split, part) if part else None


def other_dataset(frozen: FrozenEncoder, dataset: Dataset, skip: Skip) -> DatasetFeatures:
    """A dataset to judge by, with the mean over the crops (n, 1, F) float64 as its features."""
    found = frozen.dataset(dataset, skip)
    return dataclasses.replace(found, features=image_features(found.features)[:, None])


def judge_on_dataset(
    made: Finetuned,
    frozen: FrozenEncoder,
    found: DatasetFeatures,
    split: Split,
    other: DatasetFeatures,
) -> Both:
    """All of ``other``, see :func:`other_dataset`, by two heads of the training part of ``split``.

    The first is the linear probe's, the second that of the kept state. Scores are on 0-100.
    """
    start = fit_to_100(_probe_fit(made, found, split), found.dataset)
    probe = measure_across(start, other.dataset, image_features(other.features))
    if made.best == 0:
        return Both(probe, probe)
    every = torch.arange(len(other.dataset.images))
    means = image_features(features_of(frozen.with_encoder(made.encoder), other, every))
    return Both(probe, measure_across(fit_to_100(made.fit, found.dataset), other.dataset, means))


def judge_on_ladders(
    made: Finetuned,
    frozen: FrozenEncoder,
    found: DatasetFeatures,
    split: Split,
    part: LadderPart,
) -> Both:
    """Ladders of the photos held out, by the same two heads: the share in order, and τ."""
    probe = _ladder_figures(part.held, _probe_fit(made, found, split)[0])
    if made.best == 0:
        return Both(probe, probe)
    tuned = frozen.with_encoder(made.encoder)
    ladders = extract_ladders(tuned, part.held_photos, stop_at, seed=part.seed)
    return Both(probe, _ladder_figures(ladders, made.fit[0]))


def in_order_line(both: Sequence[Both], part: LadderPart, where: str = "") -> str:
    """For people: the share of adjacent steps in order, a mean over ``both``."""
    probe, tuned = (
        fmean(figures["in_order"] for figures in each)
        for each in zip(*((one.probe, one.tuned) for one in both), strict=True)
    )
    count = len(part.held_photos)
    photos = f"{count} held-out photo{'s' if count > 1 else ''}"
    return (
        f"ladders of {photos}{where}, adjacent steps in order: "
        f"linear probe {probe:.3f}, fine-tuned {tuned:.3f}"
    )


def _ladder_figures(ladders: Ladders, w: Tensor) -> dict[str, float]:
    found = score_ladders(ladders, w)["all"]
    return {"in_order": found.in_order, "tau": found.tau}


def _probe_fit(made: Finetuned, found: DatasetFeatures, split: Split) -> tuple[Tensor, float]:
    """(w, b) of the linear probe's head."""
    return fit_ridge(
        found.features[split.train], found.dataset.scores[split.train], made.probe.strength
    )
