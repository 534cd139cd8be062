"""Maps keep neighbors, and the same seed draws the same map."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from shamisa_cli.errors import UsageError
from shamisa_cli.maps.projection import MIN_POINTS, Method, project

GROUPS, EACH = 4, 20
METHODS = [
    "tsne",
    pytest.param(
        "umap",
        marks=pytest.mark.skipif(
            importlib.util.find_spec("umap") is None, reason="umap-learn is not installed"
        ),
    ),
]


def groups_apart() -> tuple[Tensor, np.ndarray]:
    """Features (n, 64) of groups far from each other, and each one's group."""
    generator = torch.Generator().manual_seed(1)
    centers = torch.randn(GROUPS, 64, generator=generator)
    noise = 0.1 * torch.randn(GROUPS * EACH, 64, generator=generator)
    group = torch.arange(GROUPS).repeat(EACH)
    return centers[group] + noise, group.numpy()


@pytest.mark.parametrize("method", METHODS)
def test_neighbors_stay_neighbors(method: Method) -> None:
    features, group = groups_apart()
    places = project(features, method, seed=3)
    assert places.shape == (GROUPS * EACH, 2)
    near = NearestNeighbors(n_neighbors=5).fit(places).kneighbors(return_distance=False)
    assert (group[near] == group[:, None]).mean() > 0.95
    assert np.ptp(places[:, 0]) >= np.ptp(places[:, 1]) * 0.8


def test_same_seed_same_map() -> None:
    features, _ = groups_apart()
    first, again, other = (project(features, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert first.shape == other.shape


@pytest.mark.parametrize("n", [MIN_POINTS, MIN_POINTS + 1])
def test_few_points_have_a_map(n: int) -> None:
    assert np.isfinite(project(groups_apart()[0][:n])).all()


def test_too_few_points_are_refused() -> None:
    with pytest.raises(UsageError, match=f"3 pictures; a map needs at least {MIN_POINTS}"):
        project(groups_apart()[0][:3])


def test_umap_that_is_not_installed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'shamisa\[umap\]'"):
        project(groups_apart()[0], "umap")
