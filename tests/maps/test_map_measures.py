"""The measures of a map against slow ones, and what they say of pictures in order and in none."""

from __future__ import annotations

import math
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from shamisa_cli.maps.measures import (
    along_ladder,
    chance_along_ladder,
    chance_purity,
    measure_map,
    purity,
    silhouette,
)
from shamisa_cli.maps.points import Points
from shamisa_cli.maps.projection import project
from shamisa_cli.maps.report import FeatureMap, measure_cells

LABELS = [name for name in "abc" for _ in range(7)]
PHOTOS = [f"{k % 4}.png" for k in range(len(LABELS))]
ROWS = np.random.default_rng(0).normal(size=(len(LABELS), 6)) + np.arange(len(LABELS))[:, None] / 9


def distance(i: int, j: int) -> float:
    return math.dist(ROWS[i].tolist(), ROWS[j].tolist())


def test_silhouette_is_the_loop() -> None:
    found = []
    for i, own in enumerate(LABELS):
        means = {
            name: np.mean([distance(i, j) for j, n in enumerate(LABELS) if n == name and j != i])
            for name in "abc"
        }
        a, b = means[own], min(value for name, value in means.items() if name != own)
        found.append((b - a) / max(a, b))
    assert silhouette(ROWS, LABELS) == pytest.approx(np.mean(found))
    assert math.isnan(silhouette(ROWS, ["a"] * len(LABELS)))
    assert math.isnan(silhouette(ROWS, [str(k) for k in range(len(LABELS))]))


@pytest.mark.parametrize("apart", [None, PHOTOS])
def test_purity_is_the_loop_and_chance_that_of_any_neighbor(apart: list[str] | None) -> None:
    found, chance = [], []
    for i, own in enumerate(LABELS):
        others = [
            j for j in range(len(LABELS)) if j != i and (apart is None or apart[j] != apart[i])
        ]
        others.sort(key=lambda j: distance(i, j))
        found.append(np.mean([LABELS[j] == own for j in others[:4]]))
        chance.append(np.mean([LABELS[j] == own for j in others]))
    assert purity(ROWS, LABELS, 4, apart) == pytest.approx(found)
    assert chance_purity(LABELS, apart) == pytest.approx(np.mean(chance))


def test_fewer_neighbors_than_k_are_all_that_count() -> None:
    rows = np.array([[0.0], [1.0], [9.0]])
    assert purity(rows, ["a", "a", "b"], 10).tolist() == [0.5, 0.5, 0]
    assert purity(rows, ["a", "a", "b"], 10, ["x", "x", "x"]).tolist() == [0, 0, 0]
    assert chance_purity(["a", "a", "b"], ["x", "x", "x"]) == 0


def test_a_ladder_in_order_is_one_and_chance_is_the_mean_over_orders() -> None:
    severity = np.array([0, 0.25, 0.5, 0.75, 1])
    line = np.outer(severity**3, [1.0, -2, 0.5])
    assert along_ladder(line, severity) == pytest.approx(1)
    assert along_ladder(line[::-1], severity) == pytest.approx(1)  # a direction has no sign
    shuffled = [0, 2, 1, 4, 3]
    expected = spearmanr(shuffled, severity).statistic
    assert along_ladder(np.outer(shuffled, [1.0, 3]), severity) == pytest.approx(expected)
    assert along_ladder(np.ones((5, 2)), severity) == 0
    orders = [abs(spearmanr(order, range(5)).statistic) for order in permutations(range(5))]
    assert chance_along_ladder(severity) == pytest.approx(np.mean(orders))


def ladders(noise: float) -> Points:
    """Two photos under three distortions: each goes a way of its own, in all photos the same."""
    draws = np.random.default_rng(1)
    levels = (0.0, 0.25, 0.5, 0.75, 1.0)
    features, photos, names = [], [], []
    for photo in ("x.png", "y.png"):
        for k, name in enumerate(("blur", "jpeg", "noise")):
            for level in levels:
                features.append(np.eye(4)[k] * (1 + level) + noise * draws.normal(size=4))
                photos.append(Path(photo))
                names.append(name)
    rows = torch.tensor(np.array(features)).float()
    return Points(rows, tuple(photos), tuple(names), {"severity": levels * 6})


def test_ladders_in_order_and_in_none() -> None:
    def values(noise: float) -> dict[tuple[str, str], float]:
        points = ladders(noise)
        found = measure_map(points, project(points.features, "pca"))
        return {(each.name, each.space): each.value for each in found}

    ordered, mixed = values(0.01), values(50.0)
    names = {name for name, _ in ordered}
    assert names == {
        "silhouette by distortion",
        "neighbors of the same distortion",
        "the same, of other photos",
        "position along a ladder with severity",
    }
    for name in names:
        assert ordered[name, "features"] > mixed[name, "features"] + 0.15
    assert ordered["position along a ladder with severity", "features"] > 0.95
    assert ordered["the same, of other photos", "map"] == 0.5  # five of ten, all that there are


def test_datasets_are_measured_by_name_and_pictures_without_labels_not() -> None:
    rows = torch.tensor(ROWS).float()
    photos = tuple(Path(f"{k}.png") for k in range(len(LABELS)))
    points = Points(rows, photos, datasets=tuple(LABELS))
    found = measure_map(points, ROWS[:, :2])
    assert [(each.name, each.space) for each in found] == [
        (name, space)
        for space in ("features", "map")
        for name in ("silhouette by dataset", "neighbors of the same dataset")
    ]
    assert found[1].by_label.keys() == set("abc")
    assert np.mean(list(found[1].by_label.values())) == pytest.approx(found[1].value)
    cells = measure_cells([FeatureMap(n, points, ROWS[:, :2], tuple(found)) for n in "mn"])
    assert cells[0] == ["measure", "in", "chance", "m", "n"]
    assert cells[2][3:] == [f"{found[1].value:.3f}"] * 2
    for plain in (Points(rows, photos), Points(rows, photos, datasets=("one",) * len(photos))):
        assert measure_map(plain, ROWS[:, :2]) == []
        assert measure_cells([FeatureMap("m", plain, ROWS[:, :2])]) == []


def test_pca_keeps_distances_of_what_is_flat() -> None:
    flat = (
        torch.tensor(ROWS[:, :2]).float() @ torch.linalg.qr(torch.tensor(ROWS[:5, :2]).float()).Q.T
    )
    places = project(flat, "pca")
    for i in range(5):
        assert math.dist(places[i], places[i + 3]) == pytest.approx(
            math.dist(ROWS[i, :2], ROWS[i + 3, :2]), rel=1e-4
        )
    assert np.ptp(places[:, 0]) > np.ptp(places[:, 1])
