"""Figures over splits against a plain loop with scikit-learn, and that they cannot cheat."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.linear_model import Ridge

from shamisa_cli.errors import UsageError
from shamisa_cli.evaluation.evaluate import SplitResult, evaluate, overall_strength, summarize
from shamisa_cli.evaluation.splits import random_splits

STRENGTHS = torch.tensor([1e-3, 1e-1, 1e1, 1e3], dtype=torch.float64)


def _data(n: int = 60, crops: int = 5, size: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    scores = 100 * torch.rand(n, generator=generator)
    features = torch.randn(n, crops, size, generator=generator)
    features[:, :, 0] += scores[:, None] / 30
    return features, scores


def test_equals_a_plain_loop_with_scikit_learn() -> None:
    features, scores = _data()
    splits = random_splits([str(i) for i in range(60)], n_splits=2, seed=1)
    for split, result in zip(splits, evaluate(features, scores, splits, STRENGTHS), strict=True):
        x, y = features.double().numpy(), scores.double().numpy()
        best: tuple[float, float, np.ndarray] = (-2.0, 0.0, np.empty(0))
        for strength in STRENGTHS.tolist():
            rows = np.concatenate([x[i] for i in split.train.tolist()])
            targets = np.concatenate([np.full(5, y[i]) for i in split.train.tolist()])
            model = Ridge(alpha=strength).fit(rows, targets)
            val = [model.predict(x[i]).mean() for i in split.val.tolist()]
            agreement = stats.spearmanr(val, y[split.val.numpy()]).statistic
            if agreement >= best[0]:
                test = np.array([model.predict(x[i]).mean() for i in split.test.tolist()])
                best = (agreement, strength, test)
        assert result.strength == best[1]
        assert np.max(result.validation) == pytest.approx(best[0])
        np.testing.assert_allclose(result.predictions, best[2], rtol=1e-6)
        wanted = stats.spearmanr(best[2], y[split.test.numpy()]).statistic
        assert result.measures["srcc"] == pytest.approx(wanted)


def _result(validation: list[float]) -> SplitResult:
    return SplitResult(1.0, np.array(validation), {}, torch.empty(0), np.empty(0))


def test_a_split_that_says_nothing_of_the_strength_is_left_out() -> None:
    nan = float("nan")
    told = [_result([0.1, 0.5, 0.2, 0.3]), _result([0.2, 0.6, 0.1, nan])]
    for results in (told, [*told, _result([nan] * 4)]):
        assert overall_strength(results, STRENGTHS) == 1e-1
    with pytest.raises(UsageError, match="all the same"):
        overall_strength([_result([nan] * 4)] * 2, STRENGTHS)


def test_test_scores_have_no_influence_on_predictions() -> None:
    features, scores = _data()
    splits = random_splits([str(i) for i in range(60)], n_splits=1)
    changed = scores.clone()
    changed[splits[0].test] = changed[splits[0].test].flip(0) + 40
    first, second = (evaluate(features, s, splits)[0] for s in (scores, changed))
    np.testing.assert_array_equal(first.predictions, second.predictions)
    assert first.measures["srcc"] != second.measures["srcc"]


def test_summary_is_median_and_spread() -> None:
    features, scores = _data()
    results = evaluate(features, scores, random_splits([str(i) for i in range(60)], n_splits=5))
    values = [result.measures["srcc"] for result in results]
    summary = summarize(results)["srcc"]
    assert summary.median == pytest.approx(sorted(values)[2])
    assert (summary.low, summary.high) == (min(values), max(values))
    assert summary.std == pytest.approx(np.std(values))
