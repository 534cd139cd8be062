"""Maps keep neighbors; the same seed draws the same map; tables and photos beside the marks."""

from __future__ import annotations

import csv
import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from shamisa_cli.errors import UsageError
from shamisa_cli.maps.plot import folder_names, spread_out
from shamisa_cli.maps.points import Points, write_csv
from shamisa_cli.maps.projection import MIN_POINTS, Method, project
from shamisa_cli.spelling import unescape_name

GROUPS, EACH = 4, 20
METHODS = [
    "tsne",
    "pca",
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
def test_neighbors_stay_neighbors_and_the_same_seed_draws_the_same_map(method: Method) -> None:
    features, group = groups_apart()
    places = project(features, method, seed=3)
    assert np.array_equal(project(features, method, seed=3), places)
    assert places.shape == (GROUPS * EACH, 2)
    near = NearestNeighbors(n_neighbors=5).fit(places).kneighbors(return_distance=False)
    assert (group[near] == group[:, None]).mean() > 0.95
    assert np.ptp(places[:, 0]) >= np.ptp(places[:, 1]) * 0.8


def test_few_points_have_a_map_and_fewer_none() -> None:
    for n in (MIN_POINTS, MIN_POINTS + 1):
        assert np.isfinite(project(groups_apart()[0][:n])).all()
    with pytest.raises(UsageError, match=f"3 pictures; a map needs at least {MIN_POINTS}"):
        project(groups_apart()[0][:3])


def test_umap_that_is_not_installed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'shamisa\[umap\]'"):
        project(groups_apart()[0], "umap")


def test_a_photo_whose_name_is_not_utf8_is_in_the_table(tmp_path: Path) -> None:
    names = (Path("é.png"), Path(os.fsdecode(b"caf\xe9.png")))
    points = Points(torch.zeros(2, 3), names)
    write_csv(tmp_path / "map.csv", [("tiny", points, np.zeros((2, 2)))])
    content = (tmp_path / "map.csv").read_bytes()
    assert content == "path,x,y\né.png,0.0,0.0\n".encode() + b"caf\\xe9.png,0.0,0.0\n"
    with (tmp_path / "map.csv").open(encoding="utf-8") as file:
        assert [Path(unescape_name(row["path"])) for row in csv.DictReader(file)] == list(names)


def test_photos_that_are_shown_lie_apart_and_none_twice() -> None:
    corners = np.array([[0.0, 0], [0, 10], [10, 0], [10, 10], [5, 5]])
    crowd = np.random.default_rng(0).normal(5, 0.1, (50, 2))
    chosen = spread_out(np.concatenate([crowd, corners]), 5)
    assert chosen[0] < 50 or chosen[0] == 54
    assert set(chosen[1:]) == {50, 51, 52, 53}
    assert sorted(spread_out(corners[:3], 9)) == [0, 1, 2]


def test_folders_are_named_below_the_one_in_common() -> None:
    names = folder_names([Path(f"/a/b/{place}/x.png") for place in ("c", "d/e", "c")])
    assert names == ["c", "d/e", "c"]
    assert folder_names([Path("/a/b/x.png"), Path("/a/b/c/y.png")]) == ["b", "c"]
    assert folder_names([Path("x.png"), Path("y.png")]) == [Path.cwd().name] * 2


def test_folders_with_fewest_photos_share_a_color() -> None:
    photos = [Path(f"/a/{k:02}/{n}.png") for k in range(40) for n in range(k + 1)]
    names = folder_names(photos)
    rest = "26 other folders"
    assert sorted(set(names)) == sorted([rest, *(f"{k:02}" for k in range(26, 40))])
    assert names.count(rest) == sum(range(1, 27))
