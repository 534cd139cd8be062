"""The ridge path against scikit-learn's Ridge."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from shamisa_cli.evaluation import ridge
from shamisa_cli.evaluation.ridge import fit_ridge, image_features, ridge_path, solve_ridge

STRENGTHS = torch.tensor([1e-3, 0.1, 1.0, 1e3], dtype=torch.float64)


def _data(n: int, size: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows of unit length that differ little, as averaged ReLU features do, and scores near 60."""
    generator = torch.Generator().manual_seed(seed)
    rows = 1 + 0.1 * torch.randn(n, size, generator=generator)
    rows = rows / rows.norm(dim=1, keepdim=True)
    return rows, 60 + 15 * torch.randn(n, generator=generator)


@pytest.mark.parametrize(("n", "size"), [(80, 12), (12, 80), (30, 30), (5, 1)])
@pytest.mark.parametrize("block", [7, 4096])
def test_equals_scikit_learn(
    n: int, size: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ridge, "BLOCK_ROWS", block)
    rows, targets = _data(n, size)
    fresh, _ = _data(9, size, seed=1)
    path = ridge_path(rows, targets)
    predictions = path.predict(fresh, STRENGTHS)
    for column, strength in enumerate(STRENGTHS.tolist()):
        oracle = Ridge(alpha=strength, solver="svd").fit(rows.double().numpy(), targets.numpy())
        w, b = path.solution(strength)
        np.testing.assert_allclose(w, oracle.coef_, rtol=1e-6, atol=1e-8)
        assert b == pytest.approx(oracle.intercept_, rel=1e-8)
        np.testing.assert_allclose(
            predictions[:, column], oracle.predict(fresh.double().numpy()), rtol=1e-8
        )


def test_every_crop_is_a_row_and_a_prediction_is_the_mean_over_the_crops() -> None:
    rows, _ = _data(60, 6)
    scores = _data(20, 1)[1]
    features = rows.view(20, 3, 6)
    w, b = fit_ridge(features, scores, 0.7)
    oracle = Ridge(alpha=0.7).fit(rows.double().numpy(), scores.repeat_interleave(3).numpy())
    each = oracle.predict(rows.double().numpy()).reshape(20, 3)
    np.testing.assert_allclose(image_features(features) @ w + b, each.mean(1), rtol=1e-8)


def test_repeated_columns_and_rows_stay_finite() -> None:
    rows, targets = _data(20, 4)
    doubled = torch.cat([rows, rows, torch.zeros(20, 1)], dim=1)
    w, b = ridge_path(doubled, targets).solution(1e-3)
    assert torch.isfinite(w).all()
    assert np.isfinite(b)
    torch.testing.assert_close(w[:4], w[4:8])


@pytest.mark.parametrize(("n", "size"), [(80, 12), (12, 80), (30, 30), (5, 1)])
def test_several_targets_at_once_equal_scikit_learn(n: int, size: int) -> None:
    rows, targets = _data(n, size)
    both = torch.stack([targets, targets.square()], dim=1)
    w, b = solve_ridge(rows, both, 0.1)
    for column in range(2):
        oracle = Ridge(alpha=0.1, solver="svd").fit(rows.double().numpy(), both[:, column].numpy())
        np.testing.assert_allclose(w[column], oracle.coef_, rtol=1e-6, atol=1e-8)
        assert float(b[column]) == pytest.approx(oracle.intercept_, rel=1e-6)
