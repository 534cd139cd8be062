"""How well explanations are right, on photos that took no part: the engine knows what it did."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from sklearn.metrics import average_precision_score
from torch import Tensor

from shamisa_cli.evaluation.measures import srcc
from shamisa_cli.explaining.examples import Examples
from shamisa_cli.explaining.fit_kinds import presence
from shamisa_cli.explaining.kinds import KindHeads, extend
from shamisa_cli.explaining.places import PlaceHead

PLAIN = 0.5
"""Severity from which a single kind should be plain to see."""

WORST = 0.1
"""Share of a map, the worst of it, that should lie where the damage is."""


def measure(examples: Examples, kinds: KindHeads, places: PlaceHead) -> dict[str, float]:
    """Figures of both readings, rounded to three decimals.

    Keys
    ----
    map_pointing : of photos damaged in part at severity 0.5 or more, the mean share of the map's
        worst tenth that lies in the damaged part; ``map_chance`` is that of any place.
    map_overlap : mean intersection over union, of as many of the worst cells as are damaged.
    kinds_map_single, kinds_map_few, kinds_map_composition : mean average precision over the kinds,
        among such pictures and untouched ones.
    kinds_top : share of single kinds at severity 0.5 or more that are the most probable kind.
    kinds_accused : share of untouched photos of which any kind is named.
    severity_srcc : mean over the kinds of the SRCC with the true severity, of single kinds.
    """
    extended = extend(examples.features.float())
    probability = (extended @ kinds.detect.T).sigmoid()
    severity = extended @ kinds.severity.T
    true = examples.severities
    single, untouched = examples.shows("single"), examples.shows("as it is")
    plain = single & (true.max(1).values >= PLAIN)
    figures = pointing(examples, places)
    for name in ("single", "few", "composition"):
        some = examples.shows(name, "as it is")
        figures[f"kinds_map_{name}"] = mean_average_precision(probability[some], true[some])
    figures["kinds_top"] = float(
        (probability[plain].argmax(1) == true[plain].argmax(1)).float().mean()
    )
    accused = probability[untouched].max(1).values >= kinds.threshold
    figures["kinds_accused"] = float(accused.float().mean())
    figures["severity_srcc"] = mean_severity_srcc(severity[single], true[single])
    return {name: round(value, 3) for name, value in figures.items() if np.isfinite(value)}


def mean_average_precision(probability: Tensor, severities: Tensor) -> float:
    """Mean over the kinds that are there at all, of (n, k); what is hardly seen does not count."""
    there, judged = presence(severities)
    found = [
        average_precision_score(there[rows, kind], probability[rows, kind])
        for kind in range(there.shape[1])
        if (rows := judged[:, kind] > 0).any() and there[rows, kind].any()
    ]
    return float(np.mean(found)) if found else float("nan")


def mean_severity_srcc(read: Tensor, severities: Tensor) -> float:
    """Mean over the kinds of the SRCC between severities (n, k) as read and as they are."""
    found: list[float] = []
    for kind in range(severities.shape[1]):
        there = severities[:, kind] >= 0
        if int(there.sum()) > 2:
            found.append(srcc(read[there, kind].double().numpy(), severities[there, kind].numpy()))
    return float(np.mean(found)) if found else float("nan")


def pointing(examples: Examples, places: PlaceHead) -> dict[str, float]:
    """``map_pointing``, ``map_chance`` and ``map_overlap`` of :func:`measure`."""
    shares: list[tuple[float, float, float]] = []
    for number, what in enumerate(examples.what):
        if what != "part" or float(examples.severities[number].max()) < PLAIN:
            continue
        own = examples.picture == number
        damaged = examples.cover[own] > 0.5
        if damaged.any() and not damaged.all():
            context = examples.context[number].expand(len(damaged), -1)
            shares.append(overlap(places.read(examples.cells[own], context), damaged))
    means: Sequence[float] = np.mean(shares, axis=0).tolist() if shares else [float("nan")] * 3
    return dict(zip(("map_pointing", "map_overlap", "map_chance"), means, strict=True))


def overlap(points: Tensor, damaged: Tensor) -> tuple[float, float, float]:
    """Of a map (m,) and what is damaged (m,) bool: the share of the worst tenth that is damaged,
    intersection over union of as many of the worst cells as are damaged, and the share damaged."""
    order = points.argsort()
    tenth = order[: max(1, round(WORST * len(order)))]
    worst = torch.zeros_like(damaged)
    worst[order[: int(damaged.sum())]] = True
    union = (worst | damaged).sum()
    inside = damaged[tenth].float().mean()
    return float(inside), float((worst & damaged).sum() / union), float(damaged.float().mean())
