"""Heads of a whole dataset, with figures of heads that did not see the images they are of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from shamisa_cli.evaluation.apart import Apart
from shamisa_cli.evaluation.datasets import DatasetResult
from shamisa_cli.evaluation.evaluate import summarize
from shamisa_cli.evaluation.everyday import unseen_predictions, with_everyday
from shamisa_cli.evaluation.ridge import fit_ridge, image_features
from shamisa_cli.evaluation.uncertainty import (
    Fit,
    estimate_uncertainty,
    seeded,
    unseen_errors,
    with_uncertainty,
)
from shamisa_cli.models.head import Head, HeadInfo


def fit_head(
    name: str, result: DatasetResult, features: Tensor, apart: Apart | None = None
) -> Head:
    """Fit on all images (n, K, F) of the dataset of ``result``, with the strength found there.

    ``result`` and the rest are of ``apart``, where that is given: see :func:`with_unseen`.
    """
    result = apart.result if apart else result
    scores = result.dataset.scores
    note = apart.note if apart else ""
    head = make_head(name, result, fit_ridge(features, scores, result.strength), note=note)
    return with_unseen(head, result, image_features(features), plain_fit(features, scores), apart)


def judge_apart(result: DatasetResult, features: Tensor) -> Apart:
    """The heads of ``result``, one of several encoders', by its features (n, K, F)."""
    fit = plain_fit(features, result.dataset.scores)
    return with_errors(result, image_features(features), fit)


def with_errors(result: DatasetResult, means: Tensor, fit: Fit) -> Apart:
    """``result`` with the errors of its heads; ``fit`` makes such of the mean features (n, F)."""
    of_splits = result.splits, result.results
    return Apart(result, unseen_errors(means, result.dataset.scores, *of_splits, fit, seeded()))


def plain_fit(features: Tensor, scores: Tensor) -> Fit:
    """Ridges on features (n, K, F), of which an image counts as the mean of its crops.

    The strength is meant for single crops.
    """
    means, crops = image_features(features), features.shape[1]

    def fit(images: Tensor, strength: float, start: Tensor | None) -> tuple[Tensor, float]:
        return fit_ridge(means[images][:, None], scores[images], strength / crops)

    return fit


def with_unseen(
    head: Head,
    result: DatasetResult,
    means: Tensor,
    fit: Fit,
    apart: Apart | None = None,
    basis: Tensor | None = None,
) -> Head:
    """``head`` with its uncertainty and its table of everyday scores.

    Parameters
    ----------
    head, result : the head of all images, and what is known of such heads.
    means, fit : mean features (n, r) of the images, and how heads are made of these.
    apart : heads of the same kind, over encoders that did not see the images; without them, heads
        over this encoder are fitted on a part of the images.
    basis : (F, r), the directions of ``means``, where they are not the features themselves.
    """
    dataset, of_splits = result.dataset, (result.splits, result.results)
    errors = apart.errors if apart else None
    found = estimate_uncertainty(means, dataset.scores, *of_splits, result.strength, fit, errors)
    if basis is not None:
        along, bias = found.spread[:, :-1], found.spread[:, -1:]
        found = replace(found, spread=torch.cat([along @ basis.T.float(), bias], dim=1))
    head = with_uncertainty(head, found)
    if apart:
        return with_everyday(head, apart.predictions, dataset)
    unseen = unseen_predictions(means, dataset.references, result.strength, fit)
    return with_everyday(head, unseen, dataset)


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
    found = summarize(result.results) if result.results else {}
    medians = {key: summary.median for key, summary in found.items()}
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
