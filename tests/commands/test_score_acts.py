"""`shamisa score` that shows a few, and that writes ratings; the model is not the point."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result

from shamisa_cli.cli import app
from shamisa_cli.models.head import HeadInfo
from shamisa_cli.scoring.score import Score

HEAD = HeadInfo("h", "d", (0, 1), True, 9, 2, 1.0)
SCORES = {"a.jpg": 30.0, "b.jpg": 90.0, "c.jpg": None, "d.nef": 60.0, "d.jpg": 10.0}

Run = Callable[..., Result]


class Scorer:
    """Gives the scores of :data:`SCORES`; Ctrl-C is pressed after ``stop`` of them."""

    model, head, stop = "m@1", SimpleNamespace(info=HEAD), 99

    def score_many(self, photos: Iterator[str]) -> Iterator[Score]:
        for n, path in enumerate(photos):
            if n == self.stop:
                raise KeyboardInterrupt
            score = SCORES[Path(path).name]
            failed = ("failed", "torn") if score is None else ("ok", "")
            yield Score(path, score, 4, 3, 4, 3, self.model, "h", *failed)


@pytest.fixture
def scorer(monkeypatch: pytest.MonkeyPatch) -> Scorer:
    made = Scorer()
    monkeypatch.setattr("shamisa_cli.scoring.load", lambda **_: made)
    return made


@pytest.fixture
def score(scorer: Scorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    for name in SCORES:
        Path(name).touch()

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["score", *SCORES, *arguments])

    return run


def shown(result: Result) -> list[str]:
    return [line.split("\t")[2] for line in result.stdout.splitlines()]


def in_file(path: str) -> list[str]:
    with Path(path).open(newline="") as file:
        return [row["path"] for row in csv.DictReader(file)]


@pytest.mark.parametrize(
    ("limits", "lines"),
    [
        (["--top", "2"], ["b.jpg", "d.nef"]),
        (["--top", "2", "--below", "60"], ["a.jpg", "d.jpg"]),
        (["--above", "20"], ["a.jpg", "b.jpg", "d.nef"]),
        (["--above", "20", "--sort"], ["b.jpg", "d.nef", "a.jpg"]),
    ],
)
def test_what_is_shown(score: Run, limits: list[str], lines: list[str]) -> None:
    result = score(*limits)
    assert shown(result) == lines
    assert "c.jpg: torn\n" in result.stderr
    assert "4 scored, 1 failed" in result.stderr
    assert result.exit_code == 1


def test_files_hold_all_rows(score: Run) -> None:
    result = score("--csv", "o.csv", "--top", "1")
    assert shown(result) == ["b.jpg"]
    assert in_file("o.csv") == list(SCORES)
    printed = score("--json", "-", "--csv", "p.csv", "--top", "1").stdout
    assert [row["path"] for row in json.loads(printed)] == ["b.jpg"]
    assert in_file("p.csv") == list(SCORES)


def test_rows_of_an_earlier_run_are_shown_too(score: Run, scorer: Scorer) -> None:
    scorer.stop = 2
    stopped = score("--csv", "o.csv", "--top", "3")
    assert stopped.exit_code == 130
    assert shown(stopped) == ["b.jpg", "a.jpg"]
    scorer.stop = 99
    resumed = score("--csv", "o.csv", "--top", "3", "--resume", "--quiet")
    assert shown(resumed) == ["b.jpg", "d.nef", "a.jpg"]
    assert shown(score("--csv", "o.csv", "--above", "50", "--resume")) == ["b.jpg", "d.nef"]


def test_nothing_to_show_is_told(score: Run) -> None:
    result = score("--above", "95")
    assert result.stdout == ""
    assert "none of 4 scores is above 95" in result.stderr


def rating(path: str) -> str:
    return Path(path).read_text().split('xmp:Rating="')[1].split('"')[0]


def test_ratings_are_written(score: Run) -> None:
    result = score("--xmp", "--reject-below", "15", "--stars", "20,40,60,90")
    assert result.exit_code == 1
    assert "4 sidecars written" in result.stderr
    made = {name: rating(f"{name}.xmp") for name in SCORES if SCORES[name] is not None}
    assert made == {"a.jpg": "2", "b.jpg": "5", "d.nef": "4", "d.jpg": "-1"}
    assert not Path("c.jpg.xmp").exists()
    assert (
        "0 sidecars written"
        in score("--xmp", "--reject-below", "15", "--stars", "20,40,60,90").stderr
    )


def test_a_jpeg_beside_its_raw_photo_has_no_sidecar_of_adobes(score: Run) -> None:
    result = score("--xmp", "--sidecar", "adobe")
    assert "has it: d.jpg (1)" in result.stderr
    assert sorted(path.name for path in Path().glob("*.xmp")) == ["a.xmp", "b.xmp", "d.xmp"]
    assert rating("d.xmp") == "4"


def test_a_sidecar_that_cannot_be_merged_costs_itself(score: Run) -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "ha">]><x>&a;</x>'
    Path("a.jpg.xmp").write_text(bomb)
    result = score("--xmp", "--csv", "o.csv")
    assert "a.jpg.xmp: has a document type" in result.stderr
    assert "3 sidecars written, 1 could not be" in result.stderr
    assert in_file("o.csv") == list(SCORES)
    assert Path("a.jpg.xmp").read_text() == bomb
    Path("c.jpg").unlink()
    again = CliRunner().invoke(app, ["score", "a.jpg", "--xmp", "--quiet"])
    assert again.exit_code == 1


def test_resuming_rates_the_rows_that_stay(score: Run, scorer: Scorer) -> None:
    """A run was killed between a row and its sidecar; another had no --xmp."""
    score("--csv", "o.csv")
    Path("b.jpg").unlink()
    result = score("--csv", "o.csv", "--resume", "--xmp")
    assert "3 already there" in result.stderr or "4 already there" in result.stderr
    made = {path.name for path in Path().glob("*.xmp")}
    assert made == {"a.jpg.xmp", "d.nef.xmp", "d.jpg.xmp"}  # none of what is gone


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--top", "0"], "0 is not in the range"),
        (["--above", "60", "--below", "50"], "--above must be the lower one"),
        (["--below", "200"], "--below must be a score from 0 to 100, got 200"),
        (["--stars", "20,40,60,80"], "--stars has no effect without --xmp"),
        (["--reject-below", "5"], "--reject-below has no effect without --xmp"),
        (["--sidecar", "adobe"], "--sidecar has no effect without --xmp"),
        (["--xmp", "--stars", "many"], "--stars many: expected four scores, such as 20,40,60,80"),
        (["--xmp", "--stars", "80,60,40,20"], "--stars must be four rising scores"),
        (["--xmp", "--reject-below", "-5"], "--reject-below must be scores from 0 to 100"),
    ],
)
def test_wrong_usage(score: Run, arguments: list[str], says: str) -> None:
    result = score(*arguments)
    assert result.exit_code == 2
    assert says in result.stderr
    assert result.stdout == ""
