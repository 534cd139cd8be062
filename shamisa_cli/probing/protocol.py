"""The evaluation protocol of method.md §6.

Ridge on the training part, its strength by SRCC on the validation part, measures on the test part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from shamisa_cli.probing.measures import Array, measure_all, srcc
from shamisa_cli.probing.ridge import LinearRows, RidgePath, ridge_path
from shamisa_cli.probing.splits import Split

ALPHAS = torch.logspace(-3, 3, 100, dtype=torch.float64)
"""geomspace(1e-3, 1e3), the grid of regularisation strengths."""


@dataclass(frozen=True, eq=False)
class SplitResult:
    """One split.

    Attributes
    ----------
    alpha : the strength that was chosen on the validation part.
    val_srcc : its SRCC there.
    measures : of the test part, by name (see ``measures.MEASURES``).
    test : (t,) int64, the images of the test part.
    predictions : (t,) float64, their predictions, in the scores' units.
    """

    alpha: float
    val_srcc: float
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
    extra: LinearRows | None = None,
) -> list[SplitResult]:
    """Run the protocol.

    Parameters
    ----------
    features : (n, K, F) float32, K crops an image.
    scores : (n,), higher is better.
    splits : see :mod:`shamisa_cli.probing.splits`.
    alphas : (A,) grid of ridge strengths.
    extra : rows added to every training part (severity ladders), or None.
    """
    return [_evaluate_split(features, scores, split, alphas, extra) for split in splits]


def summarise(results: Sequence[SplitResult]) -> dict[str, Summary]:
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


def fit_crops(features: Tensor, scores: Tensor, extra: LinearRows | None = None) -> RidgePath:
    """Ridge with every crop a row that has its image's score.

    Parameters
    ----------
    features : (n, K, F) float32.
    scores : (n,).
    """
    return ridge_path(features.flatten(0, 1), scores.repeat_interleave(features.shape[1]), extra)


def image_features(features: Tensor) -> Tensor:
    """(n, F) float64, the mean over the crops of (n, K, F); its prediction is the crops' mean."""
    return features.mean(1, dtype=torch.float64)


def choose_alpha(
    path: RidgePath, features: Tensor, scores: Array, alphas: Tensor = ALPHAS
) -> tuple[float, float]:
    """The strength of the best SRCC on held-out images, and that SRCC.

    Parameters
    ----------
    features : (v, F), the mean over the crops of each held-out image.
    scores : (v,).

    Notes
    -----
    Of equal ones the largest is taken, the most cautious.
    """
    predictions = path.predict(features, alphas).numpy()
    each = [srcc(column, scores) for column in predictions.T]
    best = max(range(len(each)), key=lambda i: (np.nan_to_num(each[i], nan=-2.0), alphas[i]))
    return float(alphas[best]), each[best]


def _evaluate_split(
    features: Tensor, scores: Tensor, split: Split, alphas: Tensor, extra: LinearRows | None
) -> SplitResult:
    path = fit_crops(features[split.train], scores[split.train], extra)
    wanted = scores.double().numpy()
    alpha, val_srcc = choose_alpha(
        path, image_features(features[split.val]), wanted[split.val.numpy()], alphas
    )
    w, b = path.solution(alpha)
    predictions = (image_features(features[split.test]) @ w + b).numpy()
    measures = measure_all(predictions, wanted[split.test.numpy()])
    return SplitResult(alpha, val_srcc, measures, split.test, predictions)
