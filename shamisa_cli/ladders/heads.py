"""Heads fitted on human scores and on severity ladders together, and their calibration.

The strength that is best for scores alone need not be so with ladders (measured on an encoder after
126 steps: at strength 0.01, 288 ladders of 48 photos are put in order by heart, with little learnt
for other photos). So it is chosen anew, by validation SRCC and by the share of levels in order on
ladders of photos that are not in the fit.

Calibration gives the numbers a meaning that people can learn. A dataset's own scale says little to
those who never took part in its study. Anyone can imagine a good photo, and the same photo badly
damaged; their medians get scores where one would look for them, the dataset's photos lie around.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from shamisa_cli.errors import UsageError
from shamisa_cli.evaluation.datasets import DatasetResult, make_head
from shamisa_cli.evaluation.evaluate import SplitResult, best_strength, overall_strength
from shamisa_cli.evaluation.measures import Array, measure_all, srcc
from shamisa_cli.evaluation.ridge import image_features
from shamisa_cli.evaluation.splits import Split
from shamisa_cli.ladders.fit import HeadFit, LadderTerm, ShortDifferences, fit_with_ladders
from shamisa_cli.ladders.ladder import LadderResult, Ladders, score_ladders
from shamisa_cli.models.head import Head

STRENGTHS = torch.logspace(-2, 2, 5, dtype=torch.float64)
"""Coarser than the plain ridge's grid, since every strength is a fit of its own."""

HELD_OUT = 0.2
"""Share of the ladders' photos for choosing, and again for measuring."""

STRONGEST, PRISTINE = 20.0, 80.0
"""Scores of the median photo at the strongest level of the distortions, and of it as it is."""

BEYOND = 0.005
"""Share of the pictures that may lie beyond either end of 0-100."""


@dataclass(frozen=True)
class LadderOptions:
    """A :class:`LadderTerm` without its ladders; gap and drop in percent of the score range."""

    weight: float = 20.0
    gap: float = 2.0
    drop: float = 0.0

    def term(self, ladders: Ladders, score_range: tuple[float, float]) -> LadderTerm:
        """What ``ladders`` ask for, in units of the scores."""
        unit = (score_range[1] - score_range[0]) / 100
        return LadderTerm(ladders, self.weight, self.gap * unit, self.drop * unit)


def fit_head_with_ladders(
    name: str,
    result: DatasetResult,
    features: Tensor,
    ladders: Ladders,
    options: LadderOptions,
    pristine: Tensor | None = None,
) -> tuple[Head, DatasetResult, dict[str, LadderResult]]:
    """Fit on all images (n, K, F) of a dataset and on all ladders.

    With ``pristine``, mean features (p, F) of good photos, scores are calibrated on the images, on
    these, and on the ladders' strongest levels.

    Beside the head are figures of heads that are fitted in the same way: over the splits, and, of
    one without a fifth of the ladders' photos, on the ladders of these.
    """
    dataset = result.dataset
    to_fit, to_choose, to_test = divide_ladders(ladders)

    def term(some: Ladders) -> LadderTerm:
        return options.term(some, dataset.info.score_range)

    def fit(some: Ladders) -> tuple[Tensor, float]:
        return fit_with_ladders(features, dataset.scores, strength, term(some))

    results = evaluate_with_ladders(
        features, dataset.scores, result.splits, term(to_fit), to_choose
    )
    strength = overall_strength(results, STRENGTHS)
    others = ladders.select([photo not in to_test.photos for photo in ladders.photos])
    on_ladders = score_ladders(to_test, fit(others)[0])
    figures = {f"ladder_{key}": getattr(on_ladders["all"], key) for key in ("in_order", "tau")}
    n_ladders, n_photos = len(ladders.distortions), len(set(ladders.photos))
    note = (
        f"also fitted on {n_ladders} severity ladders of {n_photos} photos "
        f"(weight {options.weight:g}, gap {options.gap:g} %, drop {options.drop:g} %)"
    )
    with_ladders = replace(result, results=results, strength=strength)
    head = make_head(name, with_ladders, fit(ladders), figures, note)
    if pristine is not None:
        head = _calibrated(head, ladders, features, pristine)
    return head, with_ladders, on_ladders


def divide_ladders(ladders: Ladders) -> list[Ladders]:
    """Three parts by photo: to fit, a fifth to choose the strength, a fifth to measure."""
    photos = list(dict.fromkeys(ladders.photos))
    count = max(1, round(HELD_OUT * len(photos)))
    test, choose, fit = photos[:count], photos[count : 2 * count], photos[2 * count :]
    return [ladders.select([p in part for p in ladders.photos]) for part in (fit, choose, test)]


def evaluate_with_ladders(
    features: Tensor,
    scores: Tensor,
    splits: Sequence[Split],
    term: LadderTerm,
    choose: Ladders,
    strengths: Tensor = STRENGTHS,
) -> list[SplitResult]:
    """:func:`shamisa_cli.evaluation.evaluate.evaluate` with ladders in every fit.

    ``term`` has ladders of photos that have nothing to do with the dataset's, ``choose`` of yet
    others: the strength is chosen by the sum of their share of levels in order and the validation
    SRCC (0 where the validation images all have one score).
    """
    wanted = scores.double().numpy()
    ladders = ShortDifferences(term)
    made = []
    start: Tensor | None = None
    for split in splits:
        fit = HeadFit(features[split.train], scores[split.train], ladders)
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


def _calibrated(head: Head, ladders: Ladders, features: Tensor, pristine: Tensor) -> Head:
    """``head`` with knots; see :func:`calibration_knots`."""
    means = ladders.features[:, -1], image_features(features), pristine
    raws = ((each.double() @ head.weight.double() + head.bias).numpy() for each in means)
    strongest, everyday, as_they_are = raws
    knots = calibration_knots(strongest, everyday, as_they_are, head.info.higher_is_better)
    return replace(head, info=replace(head.info, calibration=knots))


def calibration_knots(
    strongest: Array, everyday: Array, pristine: Array, higher_is_better: bool = True
) -> tuple[tuple[float, float], ...]:
    """Knots (raw, score) of a monotone map, raw rising; between them it is linear.

    Parameters
    ----------
    strongest : raw predictions for good photos at the strongest level of distortions; their median
        has score :data:`STRONGEST`.
    everyday : of the dataset's photos. Of these and the strongest, all but :data:`BEYOND` have
        scores above 0, of these and the pristine below 100.
    pristine : of good photos as they are; their median has score :data:`PRISTINE`.
    higher_is_better : direction of the raw values.
    """
    sign = 1.0 if higher_is_better else -1.0
    low, high = (float(np.median(sign * each)) for each in (strongest, pristine))
    if not low < high:
        raise UsageError(
            "the head cannot be calibrated: its median for the strongest distortions is "
            f"{sign * low:.1f}, for good photos {sign * high:.1f}; give the ladders a larger "
            "weight or drop, or leave calibration out"
        )
    worst = np.quantile(sign * np.concatenate([strongest, everyday]), BEYOND)
    best = np.quantile(sign * np.concatenate([everyday, pristine]), 1 - BEYOND)
    knots = [(low, STRONGEST), (high, PRISTINE)]
    if worst < low:
        knots.insert(0, (float(worst), 0.0))
    if best > high:
        knots.append((float(best), 100.0))
    return tuple(sorted((sign * raw, score) for raw, score in knots))
