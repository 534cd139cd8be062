"""The measures of maps as a table and as JSON: a column for each encoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shamisa_cli.evaluation.report import Cells
from shamisa_cli.maps.measures import Measure
from shamisa_cli.maps.points import Points


@dataclass(frozen=True, eq=False)
class FeatureMap:
    """What one encoder sees: pictures with its features, their places (n, 2), and the measures."""

    name: str
    points: Points
    places: NDArray[np.float64]
    measures: tuple[Measure, ...] = ()


def measure_cells(maps: Sequence[FeatureMap]) -> Cells:
    """A line a measure; chance is that of the first encoder. Nothing without measures."""
    if not maps[0].measures:
        return []
    lines = [["measure", "in", "chance", *(each.name for each in maps)]]
    for k, first in enumerate(maps[0].measures):
        values = [f"{each.measures[k].value:.3f}" for each in maps]
        lines.append([first.name, first.space, f"{first.chance:.3f}", *values])
    return lines


def map_facts(method: str, of: str, seed: int, maps: Sequence[FeatureMap]) -> dict[str, Any]:
    """Everything measured, for JSON; ``of`` names the pictures."""
    pictures = len(maps[0].points.photos)
    models = [
        {"name": each.name, "measures": [asdict(measure) for measure in each.measures]}
        for each in maps
    ]
    return {
        "map": {"method": method, "of": of, "pictures": pictures, "seed": seed},
        "models": models,
    }
