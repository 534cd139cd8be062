"""The evaluation protocol of method.md §6.

Ridge on the training part, its strength by SRCC on the validation part, measures on the test part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from shamisa_cli.errors import UsageError
from shamisa_cli.evaluation.measures import Array, measure_all, srcc
from shamisa_cli.evaluation.ridge import RidgePath, ridge_path
from shamisa_cli.evaluation.splits import Split

ALPHAS = torch.logspace(-3, 3, 100, dtype=torch.float64)
"""geomspace(1e-3, 1e3), the grid of regularization strengths."""


@dataclass(frozen=True, eq=False)
class SplitResult:
    """One split.

    Attributes
    ----------
    alpha : the strength that was chosen on the validation part.
    validation : (A,) float64, what each strength was chosen by: its SRCC there; NaN if undefined.
    measures : of the test part, by name (see ``measures.MEASURES``).
    test : (t,) int64, the images of the test part.
    predictions : (t,) float64, their predictions, in the scores' units.
    """

    alpha: float
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
    features: Tensor,
    scores: Tensor,
    splits: Sequence[Split],
    *,
    alphas: Tensor = ALPHAS,
) -> list[SplitResult]:
    """Run the protocol.

    Parameters
    ----------
    features : (n, K, F) float32, K crops an image.
    scores : (n,), higher is better.
    splits : see :mod:`shamisa_cli.evaluation.splits`.
    alphas : (A,) grid of ridge strengths.
    """
    return [_evaluate_split(features, scores, split, alphas) for split in splits]


def summarize(results: Sequence[SplitResult]) -> dict[str, Summary]:
    """Median and spread of each measure over the splits."""
    made = {}
    for name in results[0].measures:
        values = np.array([result.measures[name] for result in results])
        made[name] = Summary(
            float(np.median(values)),
            float(values.std()),
            float(values.min()),
            float(values.max()),
        )
    return made


def crop_rows(features: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
    """Rows (n·K, F) and targets (n·K,): every crop is a row that has its image's score."""
    return features.flatten(0, 1), scores.repeat_interleave(features.shape[1])


def image_features(features: Tensor) -> Tensor:
    """(n, F) float64, the mean over the crops of (n, K, F); its prediction is the crops' mean."""
    return features.mean(1, dtype=torch.float64)


def best_alpha(validation: Array, alphas: Tensor = ALPHAS) -> float:
    """The strength of the best value (A,); of equal ones the largest, the most cautious."""
    comparable = torch.from_numpy(np.nan_to_num(validation, nan=-2.0))
    return float(alphas[comparable == comparable.max()].max())


def overall_alpha(results: Sequence[SplitResult], alphas: Tensor = ALPHAS) -> float:
    """The strength of the best validation SRCC on average, for a fit on all images.

    Splits whose validation images all have one score say nothing about it and are left out.

    Raises
    ------
    UsageError
        if that is so of every split.
    """
    told = [result.validation for result in results if not np.isnan(result.validation).all()]
    if not told:
        raise UsageError(
            "the scores of every validation part are all the same, so no strength can be chosen; "
            "give more images, or finer scores"
        )
    return best_alpha(np.mean(np.nan_to_num(told, nan=-1.0), axis=0), alphas)


def _evaluate_split(features: Tensor, scores: Tensor, split: Split, alphas: Tensor) -> SplitResult:
    path = ridge_path(*crop_rows(features[split.train], scores[split.train]))
    wanted = scores.double().numpy()
    validation = _srccs(
        path, image_features(features[split.val]), wanted[split.val.numpy()], alphas
    )
    alpha = best_alpha(validation, alphas)
    w, b = path.solution(alpha)
    predictions = (image_features(features[split.test]) @ w + b).numpy()
    measures = measure_all(predictions, wanted[split.test.numpy()])
    return SplitResult(alpha, validation, measures, split.test, predictions)


def _srccs(path: RidgePath, features: Tensor, scores: Array, alphas: Tensor) -> Array:
    """(A,) SRCC on images with mean features (v, F) and scores (v,)."""
    predictions = path.predict(features, alphas).numpy()
    return np.array([srcc(column, scores) for column in predictions.T])
