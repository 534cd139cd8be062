"""What ``shamisa probe`` does: the protocol on a dataset, and heads that are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from shamisa_cli.datasets.dataset import Dataset
from shamisa_cli.errors import UsageError
from shamisa_cli.evaluation.evaluate import (
    SplitResult,
    Summary,
    evaluate,
    image_features,
    overall_alpha,
    summarize,
)
from shamisa_cli.evaluation.frozen_encoder import FeatureSource
from shamisa_cli.evaluation.measures import Array
from shamisa_cli.evaluation.report import ReportRow
from shamisa_cli.evaluation.splits import Split, SplitKind, official_split, random_splits
from shamisa_cli.ladders.calibration import calibration_knots
from shamisa_cli.ladders.differences import LadderTerm
from shamisa_cli.ladders.evaluate import (
    JOINT_ALPHAS,
    divide_ladders,
    evaluate_with_ladders,
    score_ladders,
)
from shamisa_cli.ladders.fit import fit_head
from shamisa_cli.ladders.ladder import LadderResult, Ladders
from shamisa_cli.models.head import Head, HeadInfo

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Probed:
    """One model on one dataset under the protocol.

    Attributes
    ----------
    model : its name.
    splits, results : one of each per split.
    alpha : the strength for a fit on all images.
    """

    model: str
    dataset: Dataset
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
            summarize(self.results),
            note,
        )


def choose_splits(dataset: Dataset, n_splits: int, seed: int, kind: SplitKind) -> list[Split]:
    """The official split where the dataset is used with it (or it is asked for), else random ones.

    Raises
    ------
    UsageError
        if an official split is asked for that the dataset's files do not have, or there are too few
        images; the message names the dataset.
    """
    if kind == "official" and not dataset.parts:
        raise UsageError(f"{dataset.info.name}: no official split among its files")
    try:
        if kind == "official" or (kind == "auto" and dataset.info.official_split):
            return [official_split(dataset.parts, dataset.references, seed)]
        return random_splits(dataset.references, n_splits, seed)
    except UsageError as error:
        raise UsageError(f"{dataset.info.name}: {error}") from error


def probe_dataset(
    source: FeatureSource, dataset: Dataset, splits: list[Split], full_reference: bool = False
) -> Probed:
    """Features, and the protocol over ``splits``."""
    return probe_features(source.name, dataset, source.dataset(dataset, full_reference), splits)


def probe_features(model: str, dataset: Dataset, features: Tensor, splits: list[Split]) -> Probed:
    """The protocol over ``splits`` on the features (n, K, F) of a dataset's images."""
    results = evaluate(features, dataset.scores, splits)
    return Probed(model, dataset, splits, results, overall_alpha(results))


@dataclass(frozen=True)
class LadderOptions:
    """How ladders take part in a head.

    Attributes
    ----------
    weight : see :class:`shamisa_cli.ladders.differences.LadderTerm`.
    gap, drop : likewise, in percent of the dataset's score range.
    """

    weight: float = 20.0
    gap: float = 2.0
    drop: float = 0.0

    def term(self, ladders: Ladders, score_range: tuple[float, float]) -> LadderTerm:
        """What ``ladders`` ask for, in units of the scores."""
        percent = (score_range[1] - score_range[0]) / 100
        return LadderTerm(ladders, self.weight, self.gap * percent, self.drop * percent)


@dataclass(frozen=True, eq=False)
class FittedHead:
    """A head fitted on everything, and what was measured of such heads.

    Attributes
    ----------
    head : ready to be saved.
    measures : of heads fitted in the same way on the training parts only, over the splits.
    ladders : of a head fitted in the same way on the ladders of other photos; None without ladders.
    """

    head: Head
    measures: dict[str, Summary]
    ladders: dict[str, LadderResult] | None = None

    def of_encoder(self, digest: str) -> FittedHead:
        """The same, with what the head was fitted on; see :attr:`HeadInfo.encoder`."""
        return replace(self, head=replace(self.head, info=replace(self.head.info, encoder=digest)))


def make_head(name: str, probed: Probed, features: Tensor) -> FittedHead:
    """Fit on all images (n, K, F) of a dataset; the measures are the protocol's own."""
    dataset = probed.dataset
    w, b = fit_head(features, dataset.scores, probed.alpha)
    measures = summarize(probed.results)
    info = _head_info(name, dataset, len(w), probed.alpha, _medians(measures))
    return FittedHead(_in_own_direction(w, b, info), measures)


def make_head_with_ladders(
    name: str,
    probed: Probed,
    features: Tensor,
    ladders: Ladders,
    options: LadderOptions,
    pristine: Tensor | None = None,
) -> FittedHead:
    """Fit on all images (n, K, F) of a dataset and on all ladders.

    With ``pristine``, mean features (p, F) of good photos, scores are calibrated on the images, on
    these, and on the ladders' strongest levels.

    The ladder figures are, like the others, of a head fitted in the same way on a part: here on all
    images and on the ladders of four fifths of the photos, and measured on the last fifth.
    """
    dataset = probed.dataset
    parts = divide_ladders(ladders)
    score_range = dataset.info.score_range
    term = options.term(parts.fit, score_range)
    results = evaluate_with_ladders(features, dataset.scores, probed.splits, term, parts.choose)
    alpha = overall_alpha(results, JOINT_ALPHAS)
    part = options.term(parts.fit_and_choose, score_range)
    w, b = fit_head(features, dataset.scores, alpha, part)
    measures, on_ladders = summarize(results), score_ladders(parts.test, w)
    facts = _medians(measures)
    facts |= {"ladder_in_order": on_ladders["all"].in_order, "ladder_tau": on_ladders["all"].tau}
    w, b = fit_head(features, dataset.scores, alpha, options.term(ladders, score_range))
    n_ladders, n_photos = len(ladders.distortions), len(set(ladders.photos))
    note = (
        f"also fitted on {n_ladders} severity ladders of {n_photos} photos "
        f"(weight {options.weight:g}, gap {options.gap:g} %, drop {options.drop:g} %)"
    )
    info = _head_info(name, dataset, len(w), alpha, facts, note)
    head = _in_own_direction(w, b, info)
    if pristine is not None:
        head = _calibrated(head, ladders, features, pristine)
    return FittedHead(head, measures, on_ladders)


def draw(items: Sequence[T], count: int, seed: int) -> list[T]:
    """``count`` of ``items`` (all, if there are fewer) in random order."""
    order = torch.randperm(len(items), generator=torch.Generator().manual_seed(seed))
    return [items[i] for i in order[:count].tolist()]


def _medians(measures: dict[str, Summary]) -> dict[str, float]:
    values = {key: summary.median for key, summary in measures.items()}
    return {key: value for key, value in values.items() if np.isfinite(value)}


def _head_info(
    name: str,
    dataset: Dataset,
    features: int,
    alpha: float,
    metrics: dict[str, float],
    note: str = "",
) -> HeadInfo:
    return HeadInfo(
        name=name,
        dataset=dataset.info.name,
        score_range=dataset.info.score_range,
        higher_is_better=dataset.info.higher_is_better,
        n_images=len(dataset.images),
        features=features,
        alpha=alpha,
        metrics=metrics,
        note=note,
    )


def _calibrated(head: Head, ladders: Ladders, features: Tensor, pristine: Tensor) -> Head:
    """``head`` with knots; see :func:`calibration_knots`."""

    def raw(means: Tensor) -> Array:
        return (means.double() @ head.weight.double() + head.bias).numpy()

    knots = calibration_knots(
        raw(ladders.features[:, -1]),
        raw(image_features(features)),
        raw(pristine),
        head.info.higher_is_better,
    )
    return replace(head, info=replace(head.info, calibration=knots))


def _in_own_direction(w: Tensor, b: float, info: HeadInfo) -> Head:
    """The head in the dataset's own direction, so that its raw values are what people know."""
    low, high = info.score_range
    if not info.higher_is_better:
        w, b = -w, low + high - b
    return Head(w.float(), b, info)
