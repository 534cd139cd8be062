"""A head: one fit on all images of a dataset, with the figures of such fits over splits."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from torch import Tensor

from shamisa_cli.evaluation.datasets import DatasetResult
from shamisa_cli.evaluation.evaluate import summarize
from shamisa_cli.evaluation.ridge import fit_ridge
from shamisa_cli.models.head import Head, HeadInfo


def fit_head(name: str, result: DatasetResult, features: Tensor) -> Head:
    """Fit on all images (n, K, F) of the dataset of ``result``, with the strength found there."""
    return make_head(name, result, fit_ridge(features, result.dataset.scores, result.strength))


def make_head(
    name: str,
    result: DatasetResult,
    fit: tuple[Tensor, float],
    more_metrics: Mapping[str, float] | None = None,
    note: str = "",
) -> Head:
    """The head of a fit (w, b) to scores of which higher is better.

    It predicts in the dataset's own direction, so that its raw values are what people know.
    """
    w, b = fit
    info = result.dataset.info
    low, high = info.score_range
    if not info.higher_is_better:
        w, b = -w, low + high - b
    medians = {key: summary.median for key, summary in summarize(result.results).items()}
    metrics = {key: value for key, value in medians.items() if np.isfinite(value)}
    head_info = HeadInfo(
        name=name,
        dataset=info.name,
        score_range=info.score_range,
        higher_is_better=info.higher_is_better,
        n_images=len(result.dataset.images),
        features=len(w),
        strength=result.strength,
        metrics={**metrics, **(more_metrics or {})},
        note=note,
    )
    return Head(w.float(), b, head_info)
