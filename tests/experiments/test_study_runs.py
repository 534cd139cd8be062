"""Which runs a study has, in what order, what a broken one leaves, and what is not run again."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from study_fakes import FakeProbe, FakeTrain

from shamisa_cli.errors import StoppedError, UsageError, WeightsError
from shamisa_cli.experiments.study import RANDOM, START, Planned, planned_runs, run_study
from shamisa_cli.experiments.study_file import StudySettings, Variant
from shamisa_cli.experiments.study_results import RunResult
from shamisa_cli.experiments.study_table import (
    splits_csv,
    study_lines,
    study_text,
    table_cells,
    table_csv,
)

VALUES = {
    "frozen start": {None: [0.4, 0.4]},
    "random weights": {0: [0.1, 0.3], 1: [0.2, 0.2]},
    "published": {0: [0.5, 0.6], 1: [0.4, 0.7]},
    "A1": {0: [0.6, 0.8], 1: [0.5, 0.7]},
    "mild": {0: [0.5, 0.6], 1: [0.4, 0.7]},
}


def a_study(seeds: tuple[int, ...] = (0, 1)) -> StudySettings:
    mild = Variant("mild", config={"compositions": {"max_functions": 2}})
    variants = [Variant("published"), Variant(ablation="A1"), mild]
    config = {"backbone": "test_resnet", "init": "imagenet"}
    return StudySettings(variants, config=config, seeds=seeds, steps=3)


def told(run: Planned) -> list[float]:
    return VALUES[run.title][run.seed]


def results_of(study: StudySettings, out: Path, train: FakeTrain) -> list[RunResult]:
    return list(run_study(planned_runs(study, out), train, FakeProbe()))


def test_controls_come_first_and_then_whole_seeds(tmp_path: Path) -> None:
    runs = planned_runs(a_study(), tmp_path)
    assert [run.name for run in runs] == [
        *("frozen start", "random weights, seed 0", "random weights, seed 1"),
        *("published, seed 0", "A1, seed 0", "mild, seed 0"),
        *("published, seed 1", "A1, seed 1", "mild, seed 1"),
    ]
    assert [run.config.seed for run in runs if run.trains] == [0, 0, 0, 1, 1, 1]
    assert {run.config.steps for run in runs} == {3}
    assert [run.config.init for run in runs[:3]] == ["imagenet", "random", "random"]
    assert [run.config.graphs.binary for run in runs[3:6]] == [False, True, False]
    assert runs[5].config.compositions.max_functions == 2


def test_a_placebo_has_other_seeds_and_is_paired_by_the_studys(tmp_path: Path) -> None:
    study = StudySettings([Variant("a"), Variant("b", shift_seeds=100)], seeds=(0, 1), steps=1)
    runs = [run for run in planned_runs(study, tmp_path) if run.trains]
    assert [(run.seed, run.config.seed) for run in runs] == [(0, 0), (0, 100), (1, 1), (1, 101)]


def test_the_table_by_hand(tmp_path: Path) -> None:
    study, train = a_study(), FakeTrain(told)
    lines = study_lines(study, results_of(study, tmp_path, train))
    header, start, noise, published, a1, mild = table_cells(lines)
    assert header[4] == "SRCC"
    # Runs of published: 0.55 and 0.55. The start is 0.4 for each of them: −0.15, −0.15.
    assert published[2:6] == ["2", "126", "0.550 ± 0.000", "0.275 ± 0.000"]
    assert published[6:] == ["–"] * 4
    assert start[4] == "0.400"  # one run, no deviation
    assert start[6:8] == ["-0.150 ± 0.000", "0 of 2"]
    assert noise[4] == "0.200 ± 0.000"
    # A1: 0.7 and 0.6, so +0.15 and +0.05.
    assert a1[4] == "0.650 ± 0.071"
    assert a1[6:9] == ["+0.100 ± 0.071", "2 of 2", "1"]  # p is 0.5, times three tests
    # mild does not differ at all, so it has no p, and is none of the tests.
    assert mild[6:] == ["+0.000 ± 0.000", "0 of 2", "–", "–"]
    assert a1[1].startswith("binary edges")
    assert mild[1] == "compositions.max_functions = 2"


def test_a_bar_in_a_name_ends_no_cell(tmp_path: Path) -> None:
    study = StudySettings([Variant("|x|")], config={"init": "random"}, seeds=(0,), steps=1)
    results = results_of(study, tmp_path, FakeTrain(lambda run: [0.5]))
    text = study_text(study, study_lines(study, results), 30, 2)
    assert r"| \|x\| | nothing |" in text


def test_csv_has_every_figure(tmp_path: Path) -> None:
    study = a_study()
    results = results_of(study, tmp_path, FakeTrain(told))
    rows = list(csv.DictReader(io.StringIO(table_csv(study_lines(study, results)))))
    assert [row["variant"] for row in rows] == list(VALUES)
    assert float(rows[3]["difference"]) == pytest.approx(0.1)
    assert (rows[3]["paired_runs"], rows[3]["pairs"]) == ("2", "4")
    assert float(rows[3]["p_runs"]) == 0.5
    assert float(rows[3]["holm_runs"]) == 1.0
    assert rows[2]["difference"] == rows[4]["p_runs"] == ""
    measured = list(csv.DictReader(io.StringIO(splits_csv(results))))
    assert len(measured) == 2 * 9
    assert [float(row["srcc"]) for row in measured if row["variant"] == "A1"] == [
        *VALUES["A1"][0],
        *VALUES["A1"][1],
    ]


def test_a_broken_run_is_a_row_and_is_tried_again(tmp_path: Path) -> None:
    study, broken = a_study(), {"A1, seed 1", "mild, seed 0", "mild, seed 1"}

    def values(run: Planned) -> list[float]:
        if run.name in broken:
            raise RuntimeError("out of memory\nand more")
        return told(run)

    train = FakeTrain(values)
    results = results_of(study, tmp_path, train)
    assert len(results) == len(train.ran) == 9
    lines = study_lines(study, results)
    cells = table_cells(lines)
    assert cells[4][2] == "1, 1 failed"
    assert cells[4][6:8] == ["+0.150", "1 of 1"]
    assert cells[5][2:9] == ["0, 2 failed", "–", "–", "–", "–", "–", "–"]
    text = study_text(study, lines, 30, 9)
    assert "- A1, seed 1: RuntimeError: out of memory\n" in text
    assert "Not finished" not in text
    train.ran.clear()
    broken.clear()
    assert not any(each.error for each in results_of(study, tmp_path, train))
    assert train.ran == ["mild, seed 0", "A1, seed 1", "mild, seed 1"]


def test_a_broken_control_ends_the_study(tmp_path: Path) -> None:
    def values(run: Planned) -> list[float]:
        raise WeightsError("no weights")

    with pytest.raises(WeightsError, match="no weights"):
        results_of(a_study(), tmp_path, FakeTrain(values))


def test_a_stop_goes_through_and_the_rest_is_done_later(tmp_path: Path) -> None:
    study, stops = a_study(), ["A1, seed 0"]

    def values(run: Planned) -> list[float]:
        if run.name in stops:
            raise StoppedError(15)
        return told(run)

    train = FakeTrain(values)
    found: list[RunResult] = []
    with pytest.raises(StoppedError):
        found.extend(run_study(planned_runs(study, tmp_path), train, FakeProbe()))
    stops.clear()
    train.ran.clear()
    results_of(study, tmp_path, train)
    assert train.ran[0] == "A1, seed 0"
    assert len(train.ran) == 5


def test_an_unfinished_study_says_so(tmp_path: Path) -> None:
    study = a_study()
    runs = planned_runs(study, tmp_path)[:6]
    results = list(run_study(runs, FakeTrain(told), FakeProbe()))
    text = study_text(study, study_lines(study, results), 30, 9)
    assert "**Not finished: 6 of 9 runs.**" in text
    assert "n = 1 runs at most" in text
    assert "cannot be under 1." in text


def test_seeds_and_variants_may_be_added_and_other_figures_are_refused(tmp_path: Path) -> None:
    train = FakeTrain(told)
    results_of(a_study((0,)), tmp_path, train)
    train.ran.clear()
    results_of(a_study((0, 1)), tmp_path, train)
    assert train.ran[0] == "random weights, seed 1"
    assert len(train.ran) == 4
    runs = planned_runs(a_study(), tmp_path)
    with pytest.raises(UsageError, match=r"frozen.*|another probe\.images: go on with the same"):
        list(run_study(runs, train, FakeProbe(images=31)))
    study = StudySettings([Variant("published")], seeds=(0,), steps=4, config=a_study().config)
    with pytest.raises(UsageError, match=r"made with another config\.steps"):
        results_of(study, tmp_path, train)


def test_a_key_that_is_younger_than_a_run_is_as_by_default(tmp_path: Path) -> None:
    train, study = FakeTrain(told), a_study((0,))
    results_of(study, tmp_path, train)
    for path in tmp_path.rglob("result.json"):
        text = json.loads(path.read_text())
        del text["made_from"]["config"]["graphs"]["binary"]
        path.write_text(json.dumps(text))
    train.ran.clear()
    with pytest.raises(UsageError, match=r"another config\.graphs\.binary"):
        results_of(study, tmp_path, train)  # A1 has it, and not by default
    study = StudySettings([study.variants[0]], config=study.config, seeds=(0,), steps=3)
    assert len(results_of(study, tmp_path, train)) == 3
    assert not train.ran


def test_from_random_weights_there_is_no_start_beside_them(tmp_path: Path) -> None:
    study = StudySettings([Variant("a")], config={"init": "random"}, seeds=(0, 5), steps=1)
    titles = [run.title for run in planned_runs(study, tmp_path) if not run.trains]
    assert titles == [RANDOM, RANDOM]
    assert START not in titles
