"""Heads fitted on human scores, on severity ladders and on edits together.

The strength that is best for scores alone need not be so with ladders (measured on an encoder after
126 steps: at strength 0.01, 288 ladders of 48 photos are put in order by heart, with little learnt
for other photos). So it is chosen anew, by validation SRCC and by the share of levels in order on
ladders of photos that are not in the fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from shamisa_cli.datasets.dataset import Dataset
from shamisa_cli.evaluation.datasets import DatasetResult, make_head
from shamisa_cli.evaluation.evaluate import SplitResult, best_strength, overall_strength
from shamisa_cli.evaluation.everyday import unseen_predictions, with_everyday
from shamisa_cli.evaluation.measures import Array, measure_all, srcc
from shamisa_cli.evaluation.ridge import image_features
from shamisa_cli.evaluation.splits import Split
from shamisa_cli.evaluation.uncertainty import (
    Fit,
    Uncertainty,
    estimate_uncertainty,
    with_uncertainty,
)
from shamisa_cli.ladders.calibration import with_calibration
from shamisa_cli.ladders.edits import AS_IT_IS, EditedPhotos
from shamisa_cli.ladders.fit import (
    HeadFit,
    Lessons,
    LessonSums,
    fit_with_lessons,
    principal_directions,
)
from shamisa_cli.ladders.ladder import LadderResult, Ladders, score_ladders
from shamisa_cli.ladders.lessons import LessonOptions, make_lessons
from shamisa_cli.models.head import Head

STRENGTHS = torch.logspace(-2, 2, 5, dtype=torch.float64)
"""Coarser than the plain ridge's grid, since every strength is a fit of its own."""

DIRECTIONS = 2048
"""Principal directions that fits go by; more cost time (its cube), and hold hardly anything."""

HELD_OUT = 0.2
"""Share of the ladders' photos for choosing, and again for measuring."""


@dataclass(frozen=True, eq=False)
class TaughtDataset:
    """A dataset beside what else teaches its heads, in the directions in which features vary.

    Attributes
    ----------
    dataset : whose scores people gave.
    features : (n, K, r) float64, of its images.
    ladders, edits : of other photos, in the same directions.
    options : what these count.
    basis : (F, r), the directions.
    """

    dataset: Dataset
    features: Tensor
    ladders: Ladders
    edits: EditedPhotos | None
    options: LessonOptions
    basis: Tensor

    def lessons(self, some: Ladders) -> Lessons:
        """Of some of the ladders, and of the edits of their photos."""
        of_photos = self.edits and self.edits.select(set(some.photos))
        return make_lessons(some, of_photos, self.options, self.dataset.info.score_range)

    def fit(self, some: Ladders, strength: float) -> tuple[Tensor, float]:
        """Weights (r,) and bias, by all images and some of the ladders."""
        return fit_with_lessons(self.features, self.dataset.scores, strength, self.lessons(some))


def teach(
    dataset: Dataset,
    features: Tensor,
    ladders: Ladders,
    edits: EditedPhotos | None,
    options: LessonOptions,
) -> TaughtDataset:
    """Features (n, K, F) of a dataset, ladders and edits; scores play no part in the directions."""
    rows = [features.flatten(0, 1), ladders.features.flatten(0, 1)]
    if edits:
        rows += edits.features.values()
        rows += [] if edits.others is None else [edits.others]
    basis = principal_directions(rows, DIRECTIONS)
    projected = edits and edits.project(basis)
    return TaughtDataset(
        dataset, features.double() @ basis, ladders.project(basis), projected, options, basis
    )


def measure_taught(
    taught: TaughtDataset, result: DatasetResult
) -> tuple[DatasetResult, dict[str, LadderResult]]:
    """``result`` by heads with lessons, and how one orders ladders of a fifth of the photos.

    That head is of all images and of the ladders of the others.
    """
    ladders, scores = taught.ladders, taught.dataset.scores
    to_fit, to_choose, to_test = divide_ladders(ladders)
    results = evaluate_with_lessons(
        taught.features, scores, result.splits, taught.lessons(to_fit), to_choose
    )
    strength = overall_strength(results, STRENGTHS)
    others = ladders.select([photo not in to_test.photos for photo in ladders.photos])
    on_ladders = score_ladders(to_test, taught.fit(others, strength)[0])
    return replace(result, results=results, strength=strength), on_ladders


def fit_head_with_ladders(
    name: str,
    result: DatasetResult,
    features: Tensor,
    ladders: Ladders,
    edits: EditedPhotos | None,
    options: LessonOptions,
    *,
    calibrate: bool = False,
) -> tuple[Head, DatasetResult, dict[str, LadderResult]]:
    """Fit on all images (n, K, F) of a dataset, on all ladders, and on edits of their photos.

    ``calibrate`` needs edits: scores then follow from photos as they are and from the ladders'
    strongest levels.

    Beside the head are figures of heads that are fitted in the same way: over the splits, and, of
    one without a fifth of the ladders' photos, on the ladders of these.
    """
    taught = teach(result.dataset, features, ladders, edits, options)
    ladders, edits, basis = taught.ladders, taught.edits, taught.basis
    with_ladders, on_ladders = measure_taught(taught, result)
    w, b = taught.fit(ladders, with_ladders.strength)
    figures = {f"ladder_{key}": getattr(on_ladders["all"], key) for key in ("in_order", "tau")}
    head = make_head(name, with_ladders, (basis @ w, b), figures, _note(ladders, edits, options))
    means = image_features(taught.features)
    fit_means = _fit_of_means(taught.features, taught.dataset, taught.lessons(ladders))
    head = with_uncertainty(head, _uncertainty(means, with_ladders, fit_means, basis))
    if calibrate and edits:
        raws = (rows @ w + b for rows in (ladders.features[:, -1], edits.features[AS_IT_IS]))
        head = with_calibration(head, *(each.numpy() for each in raws))
    references = taught.dataset.references
    unseen = unseen_predictions(means, references, with_ladders.strength, fit_means)
    return with_everyday(head, unseen, taught.dataset), with_ladders, on_ladders


def _fit_of_means(features: Tensor, dataset: Dataset, lessons: Lessons) -> Fit:
    """Fits that the same lessons take part in; an image counts as the mean of its crops."""
    scores, crops, sums = dataset.scores, features.shape[1], LessonSums(lessons)
    means = image_features(features)

    def fit(images: Tensor, strength: float, start: Tensor | None) -> tuple[Tensor, float]:
        one = HeadFit(means[images][:, None], scores[images], sums)
        return one.solve(strength / crops, start)

    return fit


def _uncertainty(means: Tensor, result: DatasetResult, fit: Fit, basis: Tensor) -> Uncertainty:
    """Of heads that ``fit`` makes of the mean features (n, r) of images, on all features again."""
    splits = result.splits, result.results
    found = estimate_uncertainty(means, result.dataset.scores, *splits, result.strength, fit)
    spread = torch.cat([found.spread[:, :-1] @ basis.T.float(), found.spread[:, -1:]], dim=1)
    return replace(found, spread=spread)


def _note(ladders: Ladders, edits: EditedPhotos | None, options: LessonOptions) -> str:
    weights = f"weight {options.weight:g}, gap {options.gap:g} %, drop {options.drop:g} %"
    count = f"{len(ladders.distortions)} severity ladders of {len(set(ladders.photos))} photos"
    note = f"also fitted on {count} ({weights})"
    if edits is None:
        return note
    others = 0 if edits.others is None else len(edits.others)
    more = f" and {others} other photos as they are" if others else ""
    return note + (
        f", on scores by MDSI{more} (weight {options.proxy_weight:g}), and on edits of these "
        f"photos (weight {options.edit_weight:g})"
    )


def divide_ladders(ladders: Ladders) -> list[Ladders]:
    """Three parts by photo: to fit, a fifth to choose the strength, a fifth to measure."""
    photos = list(dict.fromkeys(ladders.photos))
    count = max(1, round(HELD_OUT * len(photos)))
    test, choose, fit = photos[:count], photos[count : 2 * count], photos[2 * count :]
    return [ladders.select([p in part for p in ladders.photos]) for part in (fit, choose, test)]


def evaluate_with_lessons(
    features: Tensor,
    scores: Tensor,
    splits: Sequence[Split],
    lessons: Lessons,
    choose: Ladders,
    strengths: Tensor = STRENGTHS,
) -> list[SplitResult]:
    """:func:`shamisa_cli.evaluation.evaluate.evaluate` with lessons in every fit.

    ``lessons`` are of photos that have nothing to do with the dataset's, ``choose`` of yet others:
    the strength is chosen by the sum of their share of levels in order and the validation SRCC (0
    where the validation images all have one score).
    """
    wanted = scores.double().numpy()
    sums = LessonSums(lessons)
    made = []
    start: Tensor | None = None
    for split in splits:
        fit = HeadFit(features[split.train], scores[split.train], sums)
        validation = np.empty(len(strengths))
        solutions = {}
        for i, strength in enumerate(strengths.tolist()):
            start, b = solutions[strength] = fit.solve(strength, start)
            agreement = srcc(_predictions(features[split.val], start, b), wanted[split.val.numpy()])
            validation[i] = np.nan_to_num(agreement) + score_ladders(choose, start)["all"].in_order
        strength = best_strength(validation, strengths)
        predictions = _predictions(features[split.test], *solutions[strength])
        measures = measure_all(predictions, wanted[split.test.numpy()])
        made.append(SplitResult(strength, validation, measures, split.test, predictions))
    return made


def _predictions(features: Tensor, w: Tensor, b: float) -> Array:
    return (image_features(features) @ w + b).numpy()
