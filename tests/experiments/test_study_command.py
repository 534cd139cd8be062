"""``shamisa study`` as a user runs it: a real tiny study, killed in a run, and what it refuses."""

from __future__ import annotations

import csv
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image, ImageFilter

from shamisa_cli.cli import app

STUDY = """
steps = 10
save_every = 4
seeds = [0, 1]

[config]
backbone = "test_resnet"
init = "random"
crop = "32"
precision = "fp32"
device = "cpu"
workers = 0
batch = { tiny_batches = 1, references = 2, groups = 2, levels = 2 }
projector = { hidden = 32, out = 16 }
optimizer = { name = "adamw" }

[probe]
dataset = "scores.csv"
splits = 3
crops = "whole"
short_side = 48
scales = [1.0]

[[variants]]
name = "published"

[[variants]]
name = "too many neighbors"
config.graphs.sources.knn.k = 0
"""


@pytest.fixture
def here(tmp_path: Path, sample_photos: list[Image.Image], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with photos/, scores.csv and mine.toml, which is the current one."""
    (tmp_path / "photos").mkdir()
    rows = [["image", "mos"]]
    for at in range(30):
        photo = sample_photos[at % 2].crop((18 * at, 10 * at, 18 * at + 96, 10 * at + 80))
        if at < 6:
            photo.save(tmp_path / "photos" / f"{at}.png")
        photo.filter(ImageFilter.GaussianBlur(at % 4)).save(tmp_path / f"{at}.png")
        rows.append([f"{at}.png", str(80 - 20 * (at % 4) + at / 10)])
    with (tmp_path / "scores.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    (tmp_path / "mine.toml").write_text(STUDY)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def study(*arguments: str) -> Result:
    given = ["study", "mine.toml", "--photos", "photos", "--out", "out", *arguments]
    return CliRunner().invoke(app, given)


KILLED = """
import os, signal
from shamisa_cli.cli import main
from shamisa_cli.commands import study

def step(self, record):
    if self.done == 4 and record["step"] == 7:
        os.kill(os.getpid(), signal.SIGKILL)

study._Progress.step = step
main()
"""
"""``shamisa``, killed at step 7 of its fifth run, which nothing can catch."""


def told(path: Path) -> str:
    """A file to nine decimals: the logistic curve's fit has its last digits from the machine."""
    return re.sub(r"(\.\d{9})\d+", r"\1", path.read_text())


def test_killed_in_a_run_it_goes_on_as_if_it_had_not_been(here: Path) -> None:
    arguments = ["study", "mine.toml", "--photos", "photos", "--out", "killed", "--quiet"]
    done = subprocess.run([sys.executable, "-c", KILLED, *arguments])
    assert done.returncode == -signal.SIGKILL
    run = here / "killed" / "runs" / "published" / "seed-1"
    assert not (run / "result.json").exists()
    assert [path.name for path in (run / "checkpoints").iterdir()] == ["step-00000004"]
    first = here / "killed" / "runs" / "published" / "seed-0"
    kept = (first / "result.json").stat().st_mtime_ns
    assert not (first / "checkpoints").exists()

    assert "holds a study already: resume it" in study("--out", "killed").output
    resumed, whole = study("--out", "killed", "--resume"), study("--out", "whole")
    assert (first / "result.json").stat().st_mtime_ns == kept
    for made in (resumed, whole):
        assert made.exit_code == 1, made.output
        assert "2 of 6 runs failed" in made.output
        assert "too many neighbors, seed 1: " in made.output
    assert (run / "log.jsonl").read_text().count("\n") == 10
    for name in ("table.md", "splits.csv"):
        assert told(here / "killed" / name) == told(here / "whole" / name)
    with (here / "whole" / "splits.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["variant"] for row in rows] == ["random weights"] * 6 + ["published"] * 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seeds", "one"], "expected numbers such as 0,1,2"),
        (["--dataset", "clvie"], "Did you mean clive"),
        (["--backbone", "test_resnte", "--init", "imagenet"], "Did you mean"),
        (["--resume", "--overwrite"], "give one of them"),
        (["--photos", "nowhere"], "nowhere"),
    ],
)
def test_wrong_arguments_are_refused_plainly(
    here: Path, arguments: list[str], message: str
) -> None:
    result = study(*arguments)
    assert result.exit_code in (1, 2), result.output
    assert message in result.output
    assert not isinstance(result.exception, (KeyError, TypeError, ValueError))


def test_the_list_runs_nothing(here: Path) -> None:
    result = study("--list")
    assert result.exit_code == 0
    assert "too many neighbors  graphs.sources.knn.k = 0" in result.output
    assert "2 variants, 2 seeds: 4 runs and 2 controls" in result.output
    assert not (here / "out").exists()
