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
from shamisa_cli.evaluation.apart import Apart, join
from shamisa_cli.evaluation.datasets import DatasetResult
from shamisa_cli.evaluation.evaluate import SplitResult, best_strength, overall_strength
from shamisa_cli.evaluation.heads import make_head, with_errors, with_unseen
from shamisa_cli.evaluation.measures import Array, measure_all, srcc
from shamisa_cli.evaluation.ridge import image_features
from shamisa_cli.evaluation.splits import Split
from shamisa_cli.evaluation.uncertainty import Fit
from shamisa_cli.ladders.calibration import with_calibration
from shamisa_cli.ladders.edits import AS_IT_IS, EditedPhotos
from shamisa_cli.ladders.fit import (
    HeadFit,
    Lessons,
    LessonSums,
    fit_with_lessons,
    principal_directions,
)
from shamisa_cli.ladders.ladder import LadderResult, Ladders, mean_result, score_ladders
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

    def fit_of_means(self) -> Fit:
        """Fits that all lessons take part in; an image counts as the mean of its crops."""
        scores, crops = self.dataset.scores, self.features.shape[1]
        means, sums = image_features(self.features), LessonSums(self.lessons(self.ladders))

        def fit(images: Tensor, strength: float, start: Tensor | None) -> tuple[Tensor, float]:
            one = HeadFit(means[images][:, None], scores[images], sums)
            return one.solve(strength / crops, start)

        return fit


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


def judge(taught: TaughtDataset, result: DatasetResult) -> Judged:
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
    return Judged(replace(result, results=results, strength=strength), on_ladders)


@dataclass(frozen=True, eq=False)
class Judged:
    """What heads with lessons are worth, on what was left out of their fits.

    Attributes
    ----------
    result : over the splits of the dataset.
    ladders : by distortion, and of all; of a fifth of the ladders' photos.
    apart : where encoders of their own take part: their heads.
    """

    result: DatasetResult
    ladders: dict[str, LadderResult]
    apart: Apart | None = None


def judge_taught_apart(taught: TaughtDataset, result: DatasetResult) -> Judged:
    """The heads over an encoder that saw nothing of the test parts of ``result``."""
    judged = judge(taught, result)
    means = image_features(taught.features)
    return replace(judged, apart=with_errors(judged.result, means, taught.fit_of_means()))


def join_judged(parts: Sequence[Judged]) -> Judged:
    """Heads over several encoders together; of the figures of ladders the mean."""
    aparts = [part.apart for part in parts if part.apart]
    results = [each for part in aparts for each in part.result.results]
    apart = join(aparts, overall_strength(results, STRENGTHS))
    ladders = {
        name: mean_result([part.ladders[name] for part in parts]) for name in parts[0].ladders
    }
    return Judged(apart.result, ladders, apart)


def fit_taught(name: str, taught: TaughtDataset, judged: Judged, *, calibrate: bool) -> Head:
    """Fit on all images of a dataset, on all ladders, and on edits of their photos.

    ``calibrate`` needs edits: scores then follow from photos as they are and from the ladders'
    strongest levels. Figures and strength are those of ``judged``.
    """
    ladders, edits, basis = taught.ladders, taught.edits, taught.basis
    w, b = taught.fit(ladders, judged.result.strength)
    figures = {f"ladder_{key}": getattr(judged.ladders["all"], key) for key in ("in_order", "tau")}
    note = _note(ladders, edits, taught.options)
    note += f"; {judged.apart.note}" if judged.apart else ""
    head = make_head(name, judged.result, (basis @ w, b), figures, note)
    if calibrate and edits:
        raws = (rows @ w + b for rows in (ladders.features[:, -1], edits.features[AS_IT_IS]))
        head = with_calibration(head, *(each.numpy() for each in raws))
    means = image_features(taught.features)
    return with_unseen(head, judged.result, means, taught.fit_of_means(), judged.apart, basis)


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
