"""How well predictions follow human scores within each kind of distortion, and each level."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from shamisa_cli.datasets.dataset import Dataset
from shamisa_cli.errors import UsageError
from shamisa_cli.evaluation.datasets import DatasetResult
from shamisa_cli.evaluation.evaluate import Summary, summaries
from shamisa_cli.evaluation.measures import MEASURES
from shamisa_cli.evaluation.report import Cells
from shamisa_cli.evaluation.splits import MIN_PART

SHOWN = ("srcc", "plcc")
KINDS = {"distortion": "distortions", "severity": "severities"}
"""What images are grouped by, and where a dataset says it of each image."""


@dataclass(frozen=True)
class Group:
    """The images of one distortion, or of one level, under one model.

    Attributes
    ----------
    model, dataset : names.
    by : ``distortion`` or ``severity``.
    name : which one.
    images : of the dataset.
    splits : in whose test parts it could be measured.
    measures : SRCC and PLCC of the predictions in the test parts, over these splits; NaN if none.
    note : why it could not be measured in all splits.
    """

    model: str
    dataset: str
    by: str
    name: str
    images: int
    splits: int
    measures: dict[str, Summary] = field(default_factory=dict)
    note: str = ""


def without_distortions(datasets: Sequence[Dataset], *, others: bool = False) -> list[str]:
    """Names of the ``datasets`` that know no distortion of their images.

    Raises
    ------
    UsageError
        if that is all of them, and there are no ``others``.
    """
    without = [each.info.name for each in datasets if not each.distortions]
    if len(without) == len(datasets) and not others:
        raise UsageError(
            f"{', '.join(without)}: its images have no known distortions; live, csiq, tid2013, "
            "kadid10k and ladder have, and a CSV with the column distortion"
        )
    return without


def measure_groups(result: DatasetResult) -> list[Group]:
    """Each distortion of the dataset, then each level; nothing of what the dataset does not know.

    Within the test part of a split a group is measured by itself, if it has three images there.
    """
    return [
        _group(result, by, name, np.array([each == name for each in labels]))
        for by, where in KINDS.items()
        if (labels := getattr(result.dataset, where))
        for name in _names(by, labels)
    ]


def _names(by: str, labels: Sequence[str]) -> list[str]:
    """The different labels: distortions as they come, levels by number; unlabeled ones are none.

    Levels of too few images are left out: severities drawn at random are all different.
    """
    counts = Counter(name for name in labels if name)
    if by != "severity":
        return list(counts)
    return sorted((name for name in counts if counts[name] >= MIN_PART), key=_level)


def _level(name: str) -> tuple[float, str]:
    """Levels by number; those that are none come last."""
    try:
        return float(name), name
    except ValueError:
        return math.inf, name


def _group(result: DatasetResult, by: str, name: str, members: np.ndarray) -> Group:
    found, few = [], 0
    scores = result.dataset.scores.numpy()
    for split in result.results:
        test = split.test.numpy()
        inside = members[test]
        if inside.sum() < MIN_PART:
            few += 1
            continue
        pair = split.predictions[inside], scores[test][inside]
        values = {each: MEASURES[each](*pair) for each in SHOWN}
        if not any(math.isnan(value) for value in values.values()):
            found.append(values)
    nothing = Summary(*[math.nan] * 4)
    measures = summaries(found) if found else dict.fromkeys(SHOWN, nothing)
    flat = len(result.results) - few - len(found)
    notes = [f"under {MIN_PART} images in {few} test parts"] * bool(few)
    notes += [f"all of one score in {flat} test parts"] * bool(flat)
    names = result.model, result.dataset.info.name
    images = int(members.sum())
    return Group(*names, by, name, images, len(found), measures, ", ".join(notes))


def group_cells(groups: Sequence[Group]) -> Cells:
    """A line a group: medians over the splits, and the standard deviation; empty without groups."""
    if not groups:
        return []
    notes = any(group.note for group in groups)
    titles = [name.upper() for name in SHOWN]
    header = ["model", "dataset", "by", "group", "images", "splits", *titles] + ["note"] * notes
    return [header] + [
        [
            *(group.model, group.dataset, group.by, group.name),
            *(str(group.images), str(group.splits)),
            *(_value(group.measures[name], group.splits) for name in SHOWN),
            *[group.note] * notes,
        ]
        for group in groups
    ]


def group_lines(groups: Sequence[Group]) -> Iterator[list[object]]:
    """Lines for the CSV of :func:`shamisa_cli.evaluation.report.csv_table`."""
    for group in groups:
        facts = [group.model, group.dataset, group.dataset, group.images, group.splits, ""]
        note = ", ".join(filter(None, [f"{group.by} {group.name}", group.note]))
        for name, each in group.measures.items():
            yield [*facts, note, name, each.median, each.std, each.low, each.high]


def _value(summary: Summary, splits: int) -> str:
    if math.isnan(summary.median):
        return "–"
    return f"{summary.median:.3f}" + (f" ±{summary.std:.3f}" if splits > 1 else "")
