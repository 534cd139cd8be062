"""`shamisa probe` from the command line, on a small model and photos."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import pytest
import torch
from click.testing import Result
from PIL import Image

from shamisa_cli.evaluation.frozen_encoder import FrozenEncoder
from shamisa_cli.models.store import load_encoder, random_encoder

Run = Callable[..., Result]


def test_table_files_and_same_seed_same_numbers(probe: Run, scores: Path, tmp_path: Path) -> None:
    out = {ending: tmp_path / f"out.{ending}" for ending in ("csv", "json", "md")}
    arguments = ["--dataset", scores, "--splits", 3, "--features-cache", tmp_path / "cache"]
    files = ["--csv", out["csv"], "--json", out["json"], "--markdown", out["md"]]
    result = probe(*arguments, *files)
    assert result.exit_code == 0, result.output
    assert "SRCC" in result.stdout
    first = json.loads(out["json"].read_text())
    row = first["rows"][0]
    assert (row["tested_on"], row["images"], row["splits"]) == ("mine", 30, 3)
    values = [split["srcc"] for split in first["splits"]]
    assert row["measures"]["srcc"]["median"] == pytest.approx(np.median(values))
    assert row["measures"]["srcc"]["median"] > 0.3
    lines = list(csv.DictReader(out["csv"].open()))
    assert [line["measure"] for line in lines] == list(row["measures"])
    assert float(lines[0]["median"]) == row["measures"]["srcc"]["median"]
    assert out["md"].read_text().count("\n") == 3

    again = probe(*arguments, "--json", out["json"], "--overwrite")
    assert again.stdout == result.stdout
    assert json.loads(out["json"].read_text()) == first
    other = probe(*arguments, "--json", out["json"], "--overwrite", "--seed", 1)
    assert other.exit_code == 0
    assert json.loads(out["json"].read_text())["splits"] != first["splits"]


def test_random_weights_are_a_row_of_their_own(probe: Run, headless: Path, scores: Path) -> None:
    result = probe("--dataset", scores, "--splits", 2, "--random")
    assert result.exit_code == 0, result.output
    assert [line.split("  ")[0] for line in result.stdout.splitlines()[1:3]] == [
        "tiny",
        "tiny (random weights)",
    ]
    config, state = load_encoder(headless)[1], torch.get_rng_state()
    one, same, other = (next(random_encoder(config, seed).parameters()) for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), state)


def test_cross_dataset_table_with_averages(probe: Run, scores: Path, tmp_path: Path) -> None:
    tables = [scores]
    for name, factor in (("half", 0.5), ("tenth", 0.1)):
        rows = list(csv.reader(scores.open()))
        scaled = [[row[0], str(factor * float(row[1]))] for row in rows[1:]]
        tables.append(scores.parent / f"{name}.csv")
        with tables[-1].open("w", newline="") as file:
            csv.writer(file).writerows([["image", "mos"], *scaled])
    out = {ending: tmp_path / f"out.{ending}" for ending in ("csv", "json", "md")}
    arguments = ["--dataset", f"{tables[0]},{tables[1]}", "--test-on", f"{tables[1]},{tables[2]}"]
    files = ["--csv", out["csv"], "--json", out["json"], "--markdown", out["md"]]
    result = probe(*arguments, "--splits", 2, *files)
    assert result.exit_code == 0, result.output

    made = json.loads(out["json"].read_text())
    table = {line["fitted_on"]: line for line in made["table"]}
    tested = {fit: list(line["datasets"]) for fit, line in table.items()}
    assert tested == {"itself": ["mine", "half"], "mine": ["half", "tenth"], "half": ["tenth"]}
    for line in table.values():
        values = [each["srcc"] for each in line["datasets"].values()]
        assert line["average"]["srcc"] == pytest.approx(np.mean(values))
    # the same photos with the same order of scores: each fit predicts all of them equally well
    fitted_on_mine = table["mine"]["datasets"]
    assert fitted_on_mine["half"] == pytest.approx(fitted_on_mine["tenth"], rel=1e-9)

    pairs = [(row["fitted_on"], row["tested_on"]) for row in made["rows"]]
    assert pairs[2:] == [
        ("mine", "half"),
        ("mine", "tenth"),
        ("half", "tenth"),
        ("itself", "average of 2"),
        ("mine", "average of 2"),
    ]
    assert "rmse" not in made["rows"][-1]["measures"]
    lines = [line.split() for line in result.stdout.split("\n\n")[1].splitlines()]
    assert lines[0][-4:] == ["mine", "half", "tenth", "average"]
    assert lines[3][:4] == ["tiny", "half", "–", "–"]
    assert out["md"].read_text().count("| average |") == 1
    averages = [r for r in csv.DictReader(out["csv"].open()) if r["tested_on"] == "average of 2"]
    assert float(averages[0]["median"]) == table["itself"]["average"]["srcc"]


def test_features_are_extracted_once_for_all_pairs(
    probe: Run, scores: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other.csv"
    other.write_text(scores.read_text())
    extract = MagicMock(side_effect=FrozenEncoder.dataset, autospec=True)
    monkeypatch.setattr(FrozenEncoder, "dataset", lambda *arguments: extract(*arguments))
    both = f"{scores},{other}"
    arguments = ["--dataset", both, "--test-on", both, "--splits", 2, "--root", scores.parent]
    result = probe(*arguments)
    assert result.exit_code == 0, result.output
    assert [call.args[1].info.name for call in extract.call_args_list] == ["mine", "other"]


def test_whole_photos(probe: Run, scores: Path, tmp_path: Path) -> None:
    made = []
    for crops in ("five", "whole"):
        out = tmp_path / f"{crops}.json"
        arguments = ["--dataset", scores, "--splits", 2, "--json", out, "--crops", crops]
        assert probe(*arguments).exit_code == 0
        made.append(json.loads(out.read_text())["splits"])
    assert made[0] != made[1]


def test_full_reference(probe: Run, scores: Path) -> None:
    result = probe("--dataset", scores, "--splits", 2, "--fr")
    assert result.exit_code == 0, result.output
    assert "full reference" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dataset", "kadid-10k"], "Did you mean kadid10k"),
        (["--dataset", "clive", "--root", "/nowhere"], "is not in /nowhere"),
        (["--dataset", "absent.csv"], "absent.csv: cannot be read"),
        (["--dataset", "{csv}", "--split", "official"], "no official split"),
        (["--dataset", "{csv}", "--json", "/no/such/out.json"], "there is no folder /no/such"),
        (["--dataset", "{csv}", "--plot", "x.xyz"], "x.xyz: its ending names no picture format"),
        (["--dataset", "{bare}", "--fr"], "no reference photos"),
        (["--dataset", "{few}"], "Error: few: 5 images"),
        (["--dataset", "{csv}", "--test-on", "{mine}"], "mine.csv are both called mine; rename"),
    ],
)
def test_usage_errors(
    probe: Run, scores: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    lines = scores.read_text().splitlines()
    tables = {"bare": [line.rsplit(",", 1)[0] for line in lines], "few": lines[:6], "mine": lines}
    names = {name: tmp_path / f"{name}.csv" for name in tables}
    for name, rows in tables.items():
        names[name].write_text("\n".join(rows) + "\n")
    for photo in scores.parent.glob("*.png"):
        shutil.copy(photo, tmp_path)
    result = probe(*(each.format(csv=scores, **names) for each in arguments))
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())
    assert "Traceback" not in result.output


def test_unreadable_photos_are_named_and_the_rest_is_measured(
    probe: Run, scores: Path, tmp_path: Path
) -> None:
    for path in scores.parent.glob("*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    for name in ("4-1.png", "7-0.png"):
        (tmp_path / name).write_bytes(b"no picture")
    out, plot = tmp_path / "out.json", tmp_path / "plot.png"
    both = ["--dataset", tmp_path / "mine.csv", "--test-on", scores.with_name("half.csv")]
    scores.with_name("half.csv").write_text(scores.read_text())
    result = probe(*both, "--splits", 2, "--random", "--json", out, "--plot", plot)
    assert result.exit_code == 1
    for name in ("4-1.png", "7-0.png"):
        assert result.stderr.count(f"skipped {tmp_path / name}: ") == 1
    assert "2 photos could not be read; they are not in the figures" in result.stderr
    first, *_ = rows = json.loads(out.read_text())["rows"]
    assert (first["images"], first["left_out"]) == (28, 2)
    lines = result.stdout.splitlines()
    assert [line.endswith("2 unreadable left out") for line in lines[1:5]] == [
        row["tested_on"] == "mine" for row in rows
    ]
    with Image.open(plot) as picture:
        assert min(picture.size) > 500


@pytest.mark.parametrize("option", ["--csv", "--json", "--markdown", "--plot"])
def test_a_full_disk_is_told(
    probe: Run,
    scores: Path,
    tmp_path: Path,
    option: str,
    no_file_over: Callable[[int], AbstractContextManager[None]],
) -> None:
    arguments = ["--dataset", scores, "--splits", 1]
    probe(*arguments)  # fonts and features are cached now
    out = tmp_path / "out.svg"
    with no_file_over(10):
        result = probe(*arguments, option, out)
    assert result.exit_code == 1
    assert f"Error: {out}: cannot be written: File too large" in result.stderr
