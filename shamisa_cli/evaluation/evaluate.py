"""Measure features over splits, as the field does (docs/method.md §6).

Ridge on the training part, its strength by SRCC on the validation part, measures on the test part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from shamisa_cli.errors import UsageError
from shamisa_cli.evaluation.measures import Array, measure_all, srcc_of_columns
from shamisa_cli.evaluation.ridge import RidgePath, crop_rows, image_features, ridge_path
from shamisa_cli.evaluation.splits import Split

STRENGTHS = torch.logspace(-3, 3, 100, dtype=torch.float64)
"""geomspace(1e-3, 1e3), the grid of regularization strengths."""


@dataclass(frozen=True, eq=False)
class SplitResult:
    """One split.

    Attributes
    ----------
    strength : the strength that was chosen on the validation part.
    validation : (S,) float64, what each strength was chosen by: its SRCC there; NaN if undefined.
    measures : of the test part, by name (see ``measures.MEASURES``).
    test : (t,) int64, the images of the test part.
    predictions : (t,) float64, their predictions, in the scores' units.
    """

    strength: float
    validation: Array
    measures: dict[str, float]
    test: Tensor
    predictions: Array


@dataclass(frozen=True)
class Summary:
    """One measure over the splits: median, standard deviation, smallest and largest."""

    median: float
    std: float
    low: float
    high: float


def evaluate(
    features: Tensor, scores: Tensor, splits: Sequence[Split], strengths: Tensor = STRENGTHS
) -> list[SplitResult]:
    """Fit and measure on each split.

    Parameters
    ----------
    features : (n, K, F) float32, K crops an image.
    scores : (n,), higher is better.
    splits : see :mod:`shamisa_cli.evaluation.splits`.
    strengths : (S,) grid of ridge strengths.
    """
    return [_evaluate_split(features, scores, split, strengths) for split in splits]


def summarize(results: Sequence[SplitResult]) -> dict[str, Summary]:
    """Median and spread of each measure over the splits."""
    return summaries([result.measures for result in results])


def summaries(measures: Sequence[Mapping[str, float]]) -> dict[str, Summary]:
    """The same of measures by name, one mapping a split."""
    made = {}
    for name in measures[0]:
        values = np.array([each[name] for each in measures])
        numbers = np.median(values), values.std(), values.min(), values.max()
        made[name] = Summary(*map(float, numbers))
    return made


def validation_srcc(
    path: RidgePath, features: Tensor, scores: Tensor, strengths: Tensor = STRENGTHS
) -> Array:
    """(S,) float64, SRCC of images (n, K, F) with their scores (n,) for each of ``strengths``."""
    predicted = path.predict(image_features(features), strengths).numpy()
    return srcc_of_columns(predicted, scores.double().numpy())


def best_strength(validation: Array, strengths: Tensor = STRENGTHS) -> float:
    """The strength of the best value (S,); of equal ones the largest, the most cautious."""
    comparable = torch.from_numpy(np.nan_to_num(validation, nan=-2.0))
    return float(strengths[comparable == comparable.max()].max())


def overall_strength(results: Sequence[SplitResult], strengths: Tensor = STRENGTHS) -> float:
    """The strength of the best validation SRCC on average, for a fit on all images.

    Splits whose validation images all have one score say nothing about it and are left out.
    """
    told = [result.validation for result in results if not np.isnan(result.validation).all()]
    if not told:
        raise UsageError(
            "the scores of every validation part are all the same, so no strength can be chosen; "
            "give more images, or finer scores"
        )
    return best_strength(np.mean(np.nan_to_num(told, nan=-1.0), axis=0), strengths)


def _evaluate_split(
    features: Tensor, scores: Tensor, split: Split, strengths: Tensor
) -> SplitResult:
    path = ridge_path(*crop_rows(features[split.train], scores[split.train]))
    validation = validation_srcc(path, features[split.val], scores[split.val], strengths)
    strength = best_strength(validation, strengths)
    w, b = path.solution(strength)
    predictions = (image_features(features[split.test]) @ w + b).numpy()
    measures = measure_all(predictions, scores[split.test].double().numpy())
    return SplitResult(strength, validation, measures, split.test, predictions)
