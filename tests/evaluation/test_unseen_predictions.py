"""The scores of a table are of heads that did not see their photos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from shamisa_cli.datasets.dataset import Dataset, DatasetInfo
from shamisa_cli.evaluation.everyday import unseen_predictions, with_everyday
from shamisa_cli.evaluation.ridge import fit_ridge
from shamisa_cli.models.head import Head, HeadInfo

N = 40
REFERENCES = [f"r{n // 4}" for n in range(N)]


def test_no_head_judges_a_photo_of_a_reference_that_it_saw() -> None:
    seen: list[set[int]] = []

    def fit(images: Tensor, strength: float, start: Tensor | None) -> tuple[Tensor, float]:
        seen.append(set(images.tolist()))
        return torch.zeros(3), float(len(seen))  # its prediction tells which head it was

    predictions = unseen_predictions(torch.randn(N, 3), REFERENCES, 1.0, fit)
    assert len(seen) == 5
    for n, head in enumerate(predictions.astype(int)):
        of_reference = {m for m in range(N) if REFERENCES[m] == REFERENCES[n]}
        assert not of_reference & seen[head - 1]
    assert all(len(each) == N - 8 for each in seen)


def test_what_was_learnt_by_heart_does_not_count() -> None:
    """Noise has no score: heads that saw it agree with it, those that did not do not."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(N, 200, generator=generator)
    scores = 50 + 20 * torch.randn(N, generator=generator, dtype=torch.float64)

    def fit(images: Tensor, strength: float, start: Tensor | None) -> tuple[Tensor, float]:
        return fit_ridge(features[images][:, None], scores[images], strength)

    everything = [str(n) for n in range(N)]
    unseen = unseen_predictions(features, everything, 1e-3, fit)
    w, b = fit(torch.arange(N), 1e-3, None)
    by_heart = (features.double() @ w.double() + b).numpy()
    assert np.corrcoef(by_heart, scores)[0, 1] > 0.99
    assert abs(np.corrcoef(unseen, scores)[0, 1]) < 0.5


@pytest.mark.parametrize("higher_is_better", [True, False])
def test_the_table_is_on_the_scale_of_scores(higher_is_better: bool) -> None:
    info = DatasetInfo("d", "/home/me/d.csv", 5, (0.0, 5.0), higher_is_better, lambda _: [])
    dataset = Dataset(info, Path(), (), torch.zeros(0), (), ())
    facts = ("h", "d", (0.0, 5.0), higher_is_better, 5, 2, 1.0)
    head = Head(torch.zeros(2), 0.0, HeadInfo(*facts))
    made = with_everyday(head, np.array([1.0, 2.0, 3.0, 4.0, 9.0]), dataset).info.everyday
    assert made is not None
    assert made.photos == "5 images of d"
    assert made.scores[::25] == (20.0, 40.0, 60.0, 80.0, 100.0)
