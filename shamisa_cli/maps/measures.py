"""What a map shows, in numbers: taken among the encoder's features, and again on the map itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import permutations
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.metrics import pairwise_distances_chunked, silhouette_score
from threadpoolctl import threadpool_limits

from shamisa_cli.evaluation.measures import srcc
from shamisa_cli.maps.points import Points

Rows = NDArray[np.float64]
"""(n, F) features, or (n, 2) places on a map; distances are Euclidean."""

NEIGHBORS = 10
"""k of the purity."""


@dataclass(frozen=True)
class Measure:
    """A number that says how pictures lie.

    Attributes
    ----------
    name : what it is.
    space : ``features`` of the frozen encoder, or the ``map`` made of them.
    value, chance : what was found, and what pictures without order would have.
    by_label : the value for each label alone, where it has one.
    """

    name: str
    space: Literal["features", "map"]
    value: float
    chance: float
    by_label: dict[str, float] = field(default_factory=dict)


def measure_map(points: Points, places: Rows, seed: int = 0) -> list[Measure]:
    """Every measure that fits ``points``, in both spaces; none without labels.

    Labels are the distortions, or the datasets if there are several. ``seed`` shuffles the labels
    for the chance of the silhouette.
    """
    what = "distortion" if points.distortions else "dataset"
    labels = points.distortions or points.datasets
    if len(set(labels)) < 2:
        return []
    found = []
    with threadpool_limits(limits=1):  # sums in one order
        for space, rows in (("features", points.features.double().numpy()), ("map", places)):
            add = partial(Measure, space=space)  # type: ignore[arg-type]
            shuffled = np.random.default_rng(seed).permutation(len(labels))
            mixed = [labels[i] for i in shuffled]
            found += [
                add(
                    f"silhouette by {what}",
                    value=silhouette(rows, labels),
                    chance=silhouette(rows, mixed),
                ),
                _purity(add, f"neighbors of the same {what}", rows, labels, None),
            ]
            photos = [str(photo) for photo in points.photos]
            if points.distortions and len(set(photos)) > 1:
                found.append(_purity(add, "the same, of other photos", rows, labels, photos))
            if points.distortions:
                found.append(_along_ladders(add, rows, points))
    return found


def _purity(
    add: partial[Measure],
    name: str,
    rows: Rows,
    labels: Sequence[str],
    apart: Sequence[str] | None,
) -> Measure:
    each = purity(rows, labels, apart=apart)
    names = np.array(labels)
    by_label = {label: float(each[names == label].mean()) for label in dict.fromkeys(labels)}
    chance = chance_purity(labels, apart=apart)
    return add(name, value=float(each.mean()), chance=chance, by_label=by_label)


def _along_ladders(add: partial[Measure], rows: Rows, points: Points) -> Measure:
    """Over the ladders of ``points``, whose pictures may be in any order."""
    ladders: dict[tuple[str, str], list[int]] = {}
    for i, (photo, distortion) in enumerate(zip(points.photos, points.distortions, strict=True)):
        ladders.setdefault((distortion, str(photo)), []).append(i)
    severity = np.array(points.values["severity"])
    found: dict[str, list[float]] = {}
    for (distortion, _), members in ladders.items():
        found.setdefault(distortion, []).append(along_ladder(rows[members], severity[members]))
    value = float(np.mean([each for some in found.values() for each in some]))
    by_label = {distortion: float(np.mean(some)) for distortion, some in found.items()}
    chance = chance_along_ladder(severity[next(iter(ladders.values()))])
    return add(
        "position along a ladder with severity", value=value, chance=chance, by_label=by_label
    )


def silhouette(rows: Rows, labels: Sequence[str]) -> float:
    """Mean silhouette, -1 to 1: how much nearer each row is to its own label than to the next.

    Rousseeuw, "Silhouettes", J. Comput. Appl. Math. 20, 1987; by scikit-learn. NaN where every row
    has a label of its own, or all have one.
    """
    if not 1 < len(set(labels)) < len(labels):
        return float("nan")
    return float(silhouette_score(rows, np.array(labels)))


def purity(
    rows: Rows, labels: Sequence[str], k: int = NEIGHBORS, apart: Sequence[str] | None = None
) -> NDArray[np.float64]:
    """(n,) share of the ``k`` nearest other rows that have the row's own label; 0-1.

    Of equally near ones those that come first are taken.

    Parameters
    ----------
    apart : n names; rows that share one are no neighbors, such as pictures of one photo.
    """
    ids = np.unique(np.array(labels), return_inverse=True)[1]
    groups = np.arange(len(ids)) if apart is None else np.unique(apart, return_inverse=True)[1]

    def same(distances: Rows, start: int) -> NDArray[np.float64]:
        own = slice(start, start + len(distances))
        distances[groups[own, None] == groups] = np.inf
        nearest = np.argsort(distances, axis=1, kind="stable")[:, :k]
        there = np.isfinite(np.take_along_axis(distances, nearest, 1))
        hits = there & (ids[nearest] == ids[own, None])
        return hits.sum(1) / np.maximum(there.sum(1), 1)

    return np.concatenate(list(pairwise_distances_chunked(rows, reduce_func=same)))


def chance_purity(labels: Sequence[str], apart: Sequence[str] | None = None) -> float:
    """What :func:`purity` is on average if any other row may be a neighbor."""
    names = np.array(labels)
    groups = np.arange(len(names)) if apart is None else np.array(apart)
    shares = []
    for name, group in zip(names, groups, strict=True):
        others = groups != group
        shares.append((names[others] == name).mean() if others.any() else 0.0)
    return float(np.mean(shares))


def along_ladder(rows: Rows, severity: NDArray[np.float64]) -> float:
    """|SRCC| of a ladder's severity with its rows' places along their first principal direction.

    0-1; 1 where the levels lie in order. A direction has no sign, so neither has this. 0 where all
    rows are one.
    """
    centered = rows - rows.mean(0)
    direction = np.linalg.svd(centered, full_matrices=False)[2][0]
    found = srcc(centered @ direction, severity)
    return 0.0 if np.isnan(found) else abs(found)


def chance_along_ladder(severity: NDArray[np.float64]) -> float:
    """Mean |SRCC| over all orders of the levels: for five 0.42."""
    ranks = rankdata(severity)
    return float(np.mean([abs(srcc(np.array(order), ranks)) for order in permutations(ranks)]))
