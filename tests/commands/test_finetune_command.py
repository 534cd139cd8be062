"""`shamisa finetune` on the command line: table, files, resuming, a model, refusals."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

from shamisa_cli.cli import app
from shamisa_cli.datasets.registry import open_dataset
from shamisa_cli.encoders.config import ViewingProtocol
from shamisa_cli.evaluation.splits import random_splits
from shamisa_cli.files import is_ours
from shamisa_cli.models.store import load_encoder, save_encoder

Run = Callable[..., Result]


@pytest.fixture
def finetune(run: Run, headless: Path) -> Callable[..., Result]:
    def finetune(*arguments: object) -> Result:
        fast = ("--epochs", 1, "--workers", 0, "--model", headless)
        return run("finetune", *fast, *arguments)

    return finetune


def test_the_table_has_the_linear_probe_beside_it(
    finetune: Run, probe: Run, scores: Path, tmp_path: Path
) -> None:
    files = ("--json", tmp_path / "all.json", "--csv", tmp_path / "rows.csv")
    result = finetune(scores, "--splits", 2, "--out", tmp_path / "run", *files)
    assert result.exit_code == 0, result.output
    assert "linear probe" in result.output
    assert "fine-tuned minus linear probe: SRCC" in result.output
    told = json.loads((tmp_path / "all.json").read_text())
    assert probe("--dataset", scores, "--splits", 2, "--json", tmp_path / "p.json").exit_code == 0
    probed = json.loads((tmp_path / "p.json").read_text())
    for mine, theirs in zip(told["splits"], probed["splits"], strict=True):
        assert mine["probe"] == {name: theirs[name] for name in mine["probe"]}
    with (tmp_path / "rows.csv").open() as file:
        assert {row["note"] for row in csv.DictReader(file)} == {"linear probe", "regress"}


def test_a_run_goes_on_and_is_not_overwritten(finetune: Run, scores: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    first = finetune("--dataset", scores, "--splits", 1, "--out", out)
    assert first.exit_code == 0, first.output
    again = finetune("--dataset", scores, "--splits", 1, "--out", out)
    assert again.exit_code == 2
    assert "--resume" in again.output
    made = finetune("--dataset", scores, "--splits", 2, "--out", out, "--resume")
    assert made.exit_code == 0, made.output
    assert "of 2" in made.output


def test_another_run_is_not_gone_on_with(
    finetune: Run, headless: Path, scores: Path, tmp_path: Path
) -> None:
    """Neither are its figures shown as those of other settings."""
    out = tmp_path / "run"
    assert finetune(scores, "--splits", 1, "--out", out).exit_code == 0
    other = tmp_path / "other"
    encoder, config = load_encoder(headless)
    with torch.no_grad():
        next(encoder.parameters()).mul_(1.5)
    save_encoder(other, encoder, config)
    for changed, name in (
        (("--lr", 0.01), "optimizer"),
        (("--epochs", 2), "epochs"),
        (("--seed", 5), "split"),
        (("--model", other), "model"),
    ):
        refused = finetune(scores, "--splits", 1, "--out", out, "--resume", *changed)
        assert refused.exit_code == 2, changed
        assert re.search(rf"was made with another [a-z, ]*{name}", refused.output)
        assert "choose another out" in refused.output


def test_a_share_of_the_training_part(finetune: Run, scores: Path, tmp_path: Path) -> None:
    shares = ("--train-share", "0.5,1", "--splits", 1)
    result = finetune(scores, *shares, "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    assert "linear probe, 50% of the training part" in result.output


def test_a_model_by_lml_is_scored_with_and_exported(
    run: Run, headless: Path, scores: Path, tmp_path: Path
) -> None:
    whole, out = tmp_path / "whole", tmp_path / "mine"
    encoder, config = load_encoder(headless)
    protocol = ViewingProtocol(short_side=96, crop=64, crops="whole", scales=(1.0,))
    save_encoder(whole, encoder, replace(config, protocol=protocol))
    file = tmp_path / "lml.toml"
    file.write_text("[contrast]\nside = 48\nplaces = 1\n")
    more = ("--method", "lml", "--config", file, "--epochs", 1, "--workers", 0, "--all")
    result = run("finetune", scores, "--model", whole, *more, "--out", out)
    assert result.exit_code == 0, result.output
    folder = str(out / "model")
    training = json.loads((out / "model" / "config.json").read_text())["training"]
    assert training["method"] == "fine-tuned (lml)"
    photo = str(scores.parent / "r0.png")
    scored = CliRunner().invoke(app, ["score", photo, "--model", folder, "--quiet"])
    assert scored.exit_code == 0, scored.output
    graph = tmp_path / "mine.pt2"
    exported = CliRunner().invoke(app, ["export", folder, "--torch-export", str(graph)])
    assert exported.exit_code == 0, exported.output
    assert graph.is_file()


def test_a_model_from_all_images_scores_and_is_not_probed_silently(
    finetune: Run, run: Run, scores: Path, tmp_path: Path
) -> None:
    out = tmp_path / "mine"
    result = finetune(scores, "--all", "--out", out)
    assert result.exit_code == 0, result.output
    folder = out / "model"
    assert str(folder) in result.output
    photo = scores.parent / "r0.png"
    scored = CliRunner().invoke(app, ["score", str(photo), "--model", str(folder), "--quiet"])
    assert scored.exit_code == 0, scored.output
    probed = run("probe", "--dataset", scores, "--model", folder, "--splits", 2)
    assert "was fine-tuned on 30 of the 30 images" in probed.output
    silent = run("probe", "--dataset", scores, "--model", folder, "--splits", 2, "--allow-seen")
    assert "fine-tuned on" not in silent.output
    fitted = run("fit", scores, "--name", "again", "--model", folder, "--splits", 2)
    assert "was fine-tuned on 30 of the 30 images" in fitted.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epochs", "1"], "name one dataset"),
        (["mine.csv", "--dataset", "clive"], "name one dataset"),
        (["mine.csv", "--method", "regres"], "regress"),
        (["mine.csv", "--train-share", "0.2,2"], "expected shares"),
        (["mine.csv", "--train-share", "0.504,0.5"], "expected whole percents"),
        (["mine.csv", "--budget", "5x"], "duration"),
        (["mine.csv", "--crop", "8"], "crop must be at least 32"),
        (["mine.csv", "--method", "lml", "--crop", "64"], "leave crop out"),
        (["mine.csv", "--saliency", "centre"], "Did you mean center?"),
        (["mine.csv", "--saliency", "center"], "--saliency has no effect without --method lml"),
        (["mine.csv", "--ladder-photos", "9"], "--ladder-photos has no effect without"),
        (["mine.csv", "--all", "--test-on", "clive"], "--test-on has no effect with --all"),
        (["mine.csv", "--all", "--json", "a.json"], "--json has no effect with --all"),
        (["mine.csv", "--plot", "a.xyz"], "no picture format"),
        (["mine.csv", "--epochs", "inf"], "epochs must be finite"),
    ],
)
def test_what_cannot_be_is_refused(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(app, ["finetune", *arguments])
    assert result.exit_code == 2, result.output
    assert message in result.output


def test_a_model_that_sees_crops_has_no_places(finetune: Run, scores: Path, tmp_path: Path) -> None:
    result = finetune(scores, "--method", "lml", "--out", tmp_path / "run")
    assert result.exit_code == 2
    assert "this model sees five crops" in result.output
    assert not (tmp_path / "run").exists()


def test_kinds_that_no_column_tells_are_refused_at_once(
    finetune: Run, scores: Path, tmp_path: Path
) -> None:
    result = finetune(scores, "--kinds", "--out", tmp_path / "run")
    assert result.exit_code == 2
    assert "kinds needs the columns distortion and severity" in result.output
    assert not (tmp_path / "run").exists()


def test_an_image_that_cannot_be_read_is_left_out(
    finetune: Run, scores: Path, tmp_path: Path
) -> None:
    rows = scores.read_text().splitlines()
    broken = scores.parent / "broken.png"
    broken.write_bytes(b"no picture")
    (scores.parent / "more.csv").write_text("\n".join([*rows, "broken.png,12.0,r9.png"]) + "\n")
    result = finetune(scores.parent / "more.csv", "--splits", 1, "--out", tmp_path / "run")
    assert result.exit_code == 1
    assert "fine-tuned minus linear probe" in result.output
    assert "1 photos could not be read" in result.output


@pytest.fixture
def elsewhere(scores: Path, tmp_path: Path) -> Path:
    """Another dataset: some of the pictures, with scores on another scale, and one that is none."""
    rows = [row.split(",")[:2] for row in scores.read_text().splitlines()[1::2]]
    lines = [f"{scores.parent / image},{float(score) / 20:.3f}" for image, score in rows]
    path = tmp_path / "elsewhere.csv"
    path.write_text("\n".join(["image,mos", *lines]) + "\n")
    return path


def test_other_datasets_ladders_and_a_picture(
    finetune: Run, scores: Path, elsewhere: Path, ladder_photos: Path, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib", reason="plots are drawn by matplotlib")
    files = ("--plot", tmp_path / "pairs.png", "--json", tmp_path / "all.json")
    short = tmp_path / "short.toml"
    short.write_text("checks = 1\n")
    more = ("--test-on", elsewhere, "--with-ladder", ladder_photos, "--config", short, *files)
    result = finetune(scores, "--splits", 2, "--out", tmp_path / "run", *more)
    assert result.exit_code == 1, result.output  # a photo for ladders cannot be read
    assert "1 photos could not be read" in result.output
    assert "fine-tuned minus linear probe on elsewhere: SRCC" in result.output
    assert re.search(
        r"ladders of 1 held-out photo, adjacent steps in order: linear probe 0\.\d+, fine-tuned 0",
        result.output,
    )
    assert is_ours(tmp_path / "pairs.png")
    assert (tmp_path / "run" / "share-100" / "split-01" / "losses.png").is_file()
    told = json.loads((tmp_path / "all.json").read_text())
    tested = [(row["tested_on"], row["fitted_on"], row["note"]) for row in told["rows"]]
    assert tested == [
        ("mine", "mine", "linear probe"),
        ("mine", "mine", "regress"),
        ("elsewhere", "mine", "linear probe"),
        ("elsewhere", "mine", "regress"),
    ]
    for split in told["splits"]:
        assert set(split["ladders"]) == {"probe", "tuned"}
        assert set(split["elsewhere"]["elsewhere"]["tuned"]) == set(split["tuned"])


def test_a_model_with_ladders_says_how_many_are_in_order(
    finetune: Run, scores: Path, ladder_photos: Path, tmp_path: Path
) -> None:
    (ladder_photos / "broken.png").unlink()
    out = tmp_path / "mine"
    result = finetune(scores, "--all", "--with-ladder", ladder_photos, "--out", out)
    assert result.exit_code == 0, result.output
    assert "ladders of 1 held-out photo, adjacent steps in order: linear probe 0." in result.output
    facts = json.loads((out / "model" / "config.json").read_text())["training"]
    head = json.loads((out / "model" / "heads" / "mine.json").read_text())
    assert head["metrics"]["ladder_in_order"] == facts["ladders"]["tuned"]["in_order"]


def test_what_cannot_be_tested_on_is_refused(
    finetune: Run, scores: Path, ladder_photos: Path, tmp_path: Path
) -> None:
    itself = finetune(scores, "--test-on", scores, "--out", tmp_path / "run")
    assert itself.exit_code == 2
    assert "--test-on mine: is the dataset to train on" in itself.output
    for photo in sorted(ladder_photos.iterdir())[2:]:
        photo.unlink()
    few = finetune(scores, "--with-ladder", ladder_photos, "--out", tmp_path / "run")
    assert few.exit_code == 2
    assert "2 photos; ladders need at least 5" in few.output
    itself = finetune(scores, "--with-ladder", scores.parent, "--out", tmp_path / "run")
    assert itself.exit_code == 2
    assert re.search(r"[01] photos beside \d+ that training or tests have seen", itself.output)


def test_what_a_model_from_all_images_does_not_need(
    finetune: Run, scores: Path, tmp_path: Path
) -> None:
    """It has no test part, so the column split says nothing; but its head has the CSV's name."""
    rows = [row.rsplit(",", 1)[0] for row in scores.read_text().splitlines()[1:]]
    text = "\n".join(["image,mos,split", *(f"{scores.parent / row},train" for row in rows)])
    named = tmp_path / "my scores.csv"
    named.write_text(text)
    refused = finetune(named, "--all", "--out", tmp_path / "run")
    assert refused.exit_code == 2, refused.output
    assert "the head is named after the CSV: rename that" in refused.output
    assert not (tmp_path / "run").exists()
    made = finetune(named.rename(tmp_path / "mine.csv"), "--all", "--out", tmp_path / "run")
    assert made.exit_code == 0, made.output


def test_the_file_has_a_say_in_what_is_not_asked_for(
    run: Run, headless: Path, scores: Path, tmp_path: Path
) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("seed = 7\nworkers = 0\n")
    start = "--model", headless, "--epochs", 0, "--splits", 1, "--config", file
    expected = {7: (), 3: ("--seed", 3)}
    for seed, asked in expected.items():
        out = tmp_path / str(seed)
        assert run("finetune", scores, *start, *asked, "--out", out).exit_code == 0
        facts = json.loads((out / "share-100" / "split-00" / "run.json").read_text())
        assert facts["config"]["seed"] == seed
        (drawn,) = random_splits(open_dataset(str(scores), None).references, 1, seed)
        assert facts["split"]["test"] == drawn.test.tolist()
    file.write_text("compile = true\n")
    refused = run("finetune", scores, *start, "--out", tmp_path / "run")
    assert refused.exit_code == 2
    assert "compile" in refused.output


def test_what_judges_must_be_the_same_or_it_judges_again(
    finetune: Run, scores: Path, elsewhere: Path, tmp_path: Path
) -> None:
    def figures() -> dict[str, float]:
        more = "--test-on", elsewhere, "--json", tmp_path / "all.json", "--overwrite", "--resume"
        made = finetune(scores, "--splits", 1, "--out", tmp_path / "run", *more)
        assert made.exit_code == 0, made.output
        (split,) = json.loads((tmp_path / "all.json").read_text())["splits"]
        return split["elsewhere"]["elsewhere"]["probe"]

    first = figures()
    assert figures() == first
    lines = elsewhere.read_text().splitlines()
    worst = lines[1].rsplit(",", 1)[0] + ",0.001"
    elsewhere.write_text("\n".join([lines[0], worst, *lines[2:]]) + "\n")
    assert figures() != first
