"""What ``shamisa probe`` does: within datasets, across them, and heads that are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from shamisa_cli.errors import UsageError
from shamisa_cli.heads.head import Head, HeadInfo
from shamisa_cli.probing.datasets.dataset import Dataset, DatasetInfo
from shamisa_cli.probing.head_fit import LadderTerm, evaluate_with_ladders, fit_head
from shamisa_cli.probing.ladder import LadderResult, Ladders, evaluate_ladders
from shamisa_cli.probing.measures import measure_all
from shamisa_cli.probing.protocol import (
    SplitResult,
    Summary,
    evaluate,
    image_features,
    overall_alpha,
    summarise,
    summarise_values,
)
from shamisa_cli.probing.report import ReportRow
from shamisa_cli.probing.source import FeatureSource
from shamisa_cli.probing.splits import Split, official_split, random_splits

SplitKind = Literal["auto", "random", "official"]


@dataclass(frozen=True, eq=False)
class Probed:
    """One model on one dataset under the protocol.

    Attributes
    ----------
    model : its name.
    features : (n, K, F) float32.
    splits, results : one of each per split.
    alpha : the strength for a fit on all images.
    """

    model: str
    dataset: Dataset
    features: Tensor
    splits: list[Split]
    results: list[SplitResult]
    alpha: float

    def row(self, note: str = "") -> ReportRow:
        """The table's row."""
        return ReportRow(
            self.model,
            self.dataset.info.name,
            self.dataset.info.name,
            len(self.dataset.images),
            len(self.splits),
            float(np.median([result.alpha for result in self.results])),
            summarise(self.results),
            note,
        )


def choose_splits(dataset: Dataset, n_splits: int, seed: int, kind: SplitKind) -> list[Split]:
    """The official split where the dataset is used with it (or it is asked for), else random ones.

    Raises
    ------
    UsageError
        if an official split is asked for that the dataset's files do not have.
    """
    if kind == "official" and not dataset.parts:
        raise UsageError(f"{dataset.info.name}: no official split among its files")
    if kind == "official" or (kind == "auto" and dataset.info.official_split):
        return [official_split(dataset.parts, dataset.references, seed)]
    return random_splits(dataset.references, n_splits, seed)


def probe_dataset(
    source: FeatureSource, dataset: Dataset, splits: list[Split], full_reference: bool = False
) -> Probed:
    """Features, and the protocol over ``splits``."""
    features = source.dataset(dataset, full_reference)
    results = evaluate(features, dataset.scores, splits)
    return Probed(source.name, dataset, features, splits, results, overall_alpha(results))


def cross_dataset(
    source: FeatureSource, fitted: Probed, dataset: Dataset, full_reference: bool = False
) -> ReportRow:
    """Fit on all of one dataset, test on all of another.

    Both sides' scores are put on 0-100 first, so that RMSE means something.
    """
    features = source.dataset(dataset, full_reference)
    w, b = fit_head(fitted.features, _percent(fitted.dataset), fitted.alpha)
    predictions = (image_features(features) @ w + b).numpy()
    measures = measure_all(predictions, _percent(dataset).numpy())
    return ReportRow(
        source.name,
        dataset.info.name,
        fitted.dataset.info.name,
        len(dataset.images),
        1,
        fitted.alpha,
        {name: Summary(value, 0.0, value, value) for name, value in measures.items()},
    )


@dataclass(frozen=True, eq=False)
class FittedHead:
    """A head fitted on everything, and what was measured of such heads.

    Attributes
    ----------
    head : ready to be saved.
    measures : of heads fitted in the same way on the training parts only, over the splits.
    ladders : on ladders of photos that took no part in the fit; None without ladders.
    """

    head: Head
    measures: dict[str, Summary]
    ladders: dict[str, LadderResult] | None = None


def make_head(
    name: str, probed: Probed, term: LadderTerm | None = None, held_out: Ladders | None = None
) -> FittedHead:
    """Fit on all images of a dataset (and the ladders of ``term``), and measure.

    Parameters
    ----------
    held_out : ladders of photos that are not in ``term``, to measure on.
    """
    dataset = probed.dataset
    w, b = fit_head(probed.features, dataset.scores, probed.alpha, term)
    measures = summarise(probed.results)
    if term is not None:
        measures = summarise_values(
            evaluate_with_ladders(
                probed.features, dataset.scores, probed.splits, probed.results, term
            )
        )
    ladders = None
    if held_out is not None:
        ladders = score_ladders(held_out, w)
    facts = {key: summary.median for key, summary in measures.items()}
    if ladders is not None:
        facts |= {"ladder_in_order": ladders["all"].in_order, "ladder_tau": ladders["all"].tau}
    w, b = _own_direction(w, b, dataset.info)
    info = HeadInfo(
        name=name,
        dataset=dataset.info.name,
        score_range=dataset.info.score_range,
        higher_is_better=dataset.info.higher_is_better,
        n_images=len(dataset.images),
        features=len(w),
        alpha=probed.alpha,
        metrics={key: value for key, value in facts.items() if np.isfinite(value)},
        note=_note(term),
    )
    return FittedHead(Head(w.float(), b, info), measures, ladders)


def score_ladders(ladders: Ladders, w: Tensor) -> dict[str, LadderResult]:
    """Ladder figures of a linear regressor (F,), higher being better."""
    return evaluate_ladders((ladders.features.double() @ w.double()).numpy(), ladders.distortions)


def draw_photos(photos: Sequence[Path], count: int, seed: int) -> list[Path]:
    """``count`` of ``photos`` (all, if there are fewer) in random order."""
    order = torch.randperm(len(photos), generator=torch.Generator().manual_seed(seed))
    return [photos[i] for i in order[:count].tolist()]


def _percent(dataset: Dataset) -> Tensor:
    """Scores on 0-100, higher is better."""
    low, high = dataset.info.score_range
    return (dataset.scores - low) * (100 / (high - low))


def _own_direction(w: Tensor, b: float, info: DatasetInfo) -> tuple[Tensor, float]:
    """The regressor in the dataset's own direction, so that its raw values are what people know."""
    low, high = info.score_range
    return (w, b) if info.higher_is_better else (-w, low + high - b)


def _note(term: LadderTerm | None) -> str:
    if term is None:
        return ""
    photos = len(set(term.ladders.photos))
    return (
        f"also fitted on {len(term.ladders.distortions)} severity ladders of {photos} photos "
        f"(weight {term.weight:g}, gap {term.gap:g})"
    )
