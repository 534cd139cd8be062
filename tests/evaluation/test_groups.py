"""Correlations by distortion and by level, against scipy on each group by hand."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats

from shamisa_cli.datasets.dataset import Dataset, DatasetInfo
from shamisa_cli.errors import UsageError
from shamisa_cli.evaluation.datasets import DatasetResult
from shamisa_cli.evaluation.evaluate import SplitResult
from shamisa_cli.evaluation.groups import (
    group_cells,
    group_lines,
    measure_groups,
    without_distortions,
)
from shamisa_cli.evaluation.groups_plot import plot_groups

KINDS = ("blur", "noise", "rare", "flat")
INFO = DatasetInfo("kinds", "kinds", 80, (0, 9), True, lambda _: [])


def make_result(levels: bool = True) -> DatasetResult:
    """80 images in 4 splits; two of ``rare``, all of ``flat`` have one score."""
    rng = np.random.default_rng(4)
    kinds = [KINDS[i % 2] if i < 72 else "flat" for i in range(78)] + ["rare"] * 2
    scores = torch.from_numpy(rng.integers(0, 10, 80).astype(float))
    scores[[i for i, kind in enumerate(kinds) if kind == "flat"]] = 5.0
    names = tuple(f"{i}" for i in range(80))
    severities = tuple(str(rng.choice(["1", "2", "10"])) for _ in range(80)) if levels else ()
    paths = tuple(map(Path, names))
    dataset = Dataset(INFO, paths, scores, names, (), (), tuple(kinds), severities)
    results = []
    for split in range(4):
        test = torch.from_numpy(np.sort(rng.permutation(80)[: 30 + 5 * split]))
        predictions = scores.numpy()[test.numpy()] + rng.normal(0, 3, len(test))
        results.append(SplitResult(1.0, np.zeros(1), {}, test, predictions))
    return DatasetResult("toy", dataset, [], results, 1.0)


@pytest.mark.parametrize("by", ["distortion", "severity"])
def test_the_figures_of_a_group_are_those_of_scipy(by: str) -> None:
    result = make_result()
    labels = result.dataset.distortions if by == "distortion" else result.dataset.severities
    found = [group for group in measure_groups(result) if group.by == by]
    order = ["blur", "noise", "flat", "rare"] if by == "distortion" else ["1", "2", "10"]
    assert [group.name for group in found] == order
    for group in found:
        assert group.images == labels.count(group.name)
        by_split = []
        for split in result.results:
            places = [k for k, i in enumerate(split.test.tolist()) if labels[i] == group.name]
            wanted = [float(result.dataset.scores[split.test[k]]) for k in places]
            said = [split.predictions[k] for k in places]
            if len(places) >= 3 and len(set(wanted)) > 1:
                by_split.append((stats.spearmanr(said, wanted)[0], stats.pearsonr(said, wanted)[0]))
        assert group.splits == len(by_split)
        for k, name in enumerate(("srcc", "plcc")):
            values = [each[k] for each in by_split]
            if values:
                assert group.measures[name].median == pytest.approx(np.median(values))
                assert group.measures[name].std == pytest.approx(np.std(values))
            else:
                assert math.isnan(group.measures[name].median)


def test_groups_that_cannot_be_measured_are_told() -> None:
    groups = {group.name: group for group in measure_groups(make_result())}
    assert (groups["rare"].splits, groups["rare"].images) == (0, 2)
    assert groups["rare"].note == "under 3 images in 4 test parts"
    assert "all of one score in" in groups["flat"].note
    assert groups["blur"].note == ""
    cells = group_cells(list(groups.values()))
    rows = {line[3]: line for line in cells}
    assert rows["rare"][6:8] == ["–", "–"]
    assert rows["blur"][6] == (
        f"{groups['blur'].measures['srcc'].median:.3f} ±{groups['blur'].measures['srcc'].std:.3f}"
    )
    lines = list(group_lines(list(groups.values())))
    assert len(lines) == 2 * len(groups)
    assert lines[0][6:8] == ["distortion blur", "srcc"]
    assert group_cells([]) == []


def test_levels_that_are_not_known_are_no_groups() -> None:
    assert {group.by for group in measure_groups(make_result(levels=False))} == {"distortion"}


def test_datasets_without_distortions_are_refused_alone() -> None:
    known = make_result().dataset
    bare = Dataset(INFO, known.images, known.scores, known.references)
    assert without_distortions([known, bare]) == ["kinds"]
    assert without_distortions([bare], others=True) == ["kinds"]
    assert without_distortions([known]) == []
    with pytest.raises(UsageError, match="kinds: its images have no known distortions; live"):
        without_distortions([bare])


def test_the_picture_grows_with_the_groups(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="plots are drawn by matplotlib")
    groups = measure_groups(make_result())
    sizes = []
    for name, some in (("all", groups), ("few", groups[:2])):
        plot_groups(some, tmp_path / f"{name}.png")
        with Image.open(tmp_path / f"{name}.png") as picture:
            sizes.append(picture.size)
    assert sizes[0][0] == sizes[1][0]
    assert sizes[0][1] > sizes[1][1]
