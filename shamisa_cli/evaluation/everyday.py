"""The table of a head's ``better_than``: scores of its dataset, by heads that did not see them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from shamisa_cli.datasets.dataset import Dataset
from shamisa_cli.evaluation.measures import Array
from shamisa_cli.evaluation.uncertainty import Fit
from shamisa_cli.models.everyday import PERCENTILES, Everyday
from shamisa_cli.models.head import Head, to_score

FOLDS = 5
"""Parts of a dataset; the images of each are judged by a head of the others."""


def unseen_predictions(
    features: Tensor, references: Sequence[str], strength: float, fit: Fit
) -> Array:
    """(n,) predictions in the scores' units, each by a head that saw no image of its reference.

    Parameters
    ----------
    features : (n, F), one row an image.
    references : (n,), the identity of each image's reference photo.
    strength, fit : of the ridge; how a head is made.
    """
    held_out = np.empty(len(features))
    for test in _folds(references):
        train = np.setdiff1d(np.arange(len(features)), test)
        w, b = fit(torch.from_numpy(train), strength, None)
        held_out[test] = (features[torch.from_numpy(test)].double() @ w.double() + b).numpy()
    return held_out


def with_everyday(head: Head, predictions: Array, dataset: Dataset) -> Head:
    """``head`` with the table of the scores that ``predictions`` (n,), of its images, get.

    Of predictions higher is better, whatever the direction of the dataset's own scores.
    """
    info = head.info
    raws = predictions if info.higher_is_better else sum(info.score_range) - predictions
    scores = [to_score(float(raw), info.knots).score for raw in raws]
    table = np.percentile(scores, np.linspace(0, 100, PERCENTILES)).round(2)
    named = dataset.info.title if dataset.info.url else dataset.info.name  # a title may be a path
    photos = f"{len(scores)} images of {named}"
    everyday = Everyday(photos, tuple(float(score) for score in table))
    return replace(head, info=replace(info, everyday=everyday))


def _folds(references: Sequence[str]) -> list[np.ndarray]:
    """Indices of the images of each fold; images of one reference are in the same."""
    names = sorted(set(references))
    order = np.random.default_rng(0).permutation(len(names))
    fold_of = {names[at]: n % FOLDS for n, at in enumerate(order)}
    folds = np.array([fold_of[name] for name in references])
    return [np.flatnonzero(folds == fold) for fold in np.unique(folds)]
