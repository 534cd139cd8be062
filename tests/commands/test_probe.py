"""`shamisa probe` and `shamisa datasets` from the command line, on a small model and photos."""

from __future__ import annotations

import csv
import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image, ImageFilter
from torch import Tensor

from shamisa_cli.cli import app
from shamisa_cli.datasets.dataset import Dataset
from shamisa_cli.encoders.config import Preprocessing, ViewingProtocol
from shamisa_cli.encoders.encoder import Encoder
from shamisa_cli.encoders.features import FeatureExtractor
from shamisa_cli.errors import WeightsError
from shamisa_cli.evaluation.frozen_encoder import FeatureSource
from shamisa_cli.imaging.decode import decode
from shamisa_cli.models.config import ModelConfig
from shamisa_cli.models.head import Head, HeadInfo
from shamisa_cli.models.heads import choose_head, list_heads, load_head, save_head
from shamisa_cli.models.store import load_encoder, random_encoder, save_encoder

N_PHOTOS, N_LEVELS = 10, 3


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    with torch.random.fork_rng():
        torch.manual_seed(5)
        encoder = Encoder.from_name("test_resnet")
    protocol = ViewingProtocol(short_side=96, crop=64)
    config = ModelConfig(
        "tiny", "test_resnet", encoder.feature_size, default_head="mine", protocol=protocol
    )
    save_encoder(folder, encoder, config)
    return folder


@pytest.fixture(scope="module")
def scores(tmp_path_factory: pytest.TempPathFactory, sample_photos: list[Image.Image]) -> Path:
    """Photos blurred to three degrees, with scores that fall with the degree."""
    folder = tmp_path_factory.mktemp("scored")
    rows = [["image", "mos", "reference"]]
    for i in range(N_PHOTOS):
        place = (40 * i, 20 * i, 40 * i + 128, 20 * i + 96)
        photo = sample_photos[i % 2].crop(place)
        photo.save(folder / f"r{i}.png")
        for level in range(N_LEVELS):
            photo.filter(ImageFilter.GaussianBlur(level)).save(folder / f"{i}-{level}.png")
            rows.append([f"{i}-{level}.png", f"{80 - 25 * level + i / 10}", f"r{i}.png"])
    with (folder / "mine.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return folder / "mine.csv"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def probe(model: Path, *arguments: object) -> Result:
    return run("probe", "--model", model, "--quiet", "--precision", "fp32", *arguments)


def test_table_files_and_same_seed_same_numbers(model: Path, scores: Path, tmp_path: Path) -> None:
    out = {ending: tmp_path / f"out.{ending}" for ending in ("csv", "json", "md")}
    arguments = ["--dataset", scores, "--splits", 3, "--features-cache", tmp_path / "cache"]
    files = ["--csv", out["csv"], "--json", out["json"], "--markdown", out["md"]]
    result = probe(model, *arguments, *files)
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

    again = probe(model, *arguments, "--json", out["json"])
    assert again.stdout == result.stdout
    assert json.loads(out["json"].read_text()) == first
    other = probe(model, *arguments, "--json", out["json"], "--seed", 1)
    assert other.exit_code == 0
    assert json.loads(out["json"].read_text())["splits"] != first["splits"]


def test_random_weights_are_a_row_of_their_own(model: Path, scores: Path) -> None:
    result = probe(model, "--dataset", scores, "--splits", 2, "--random")
    assert result.exit_code == 0, result.output
    assert [line.split("  ")[0] for line in result.stdout.splitlines()[1:3]] == [
        "tiny",
        "tiny (random weights)",
    ]
    config = load_encoder(model)[1]
    state = torch.get_rng_state()
    weights = [next(random_encoder(config, seed).parameters()) for seed in (0, 0, 1)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert torch.equal(torch.get_rng_state(), state)


def test_cross_dataset_table_with_averages(model: Path, scores: Path, tmp_path: Path) -> None:
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
    result = probe(model, *arguments, "--splits", 2, *files)
    assert result.exit_code == 0, result.output

    made = json.loads(out["json"].read_text())
    table = {line["fitted_on"]: line for line in made["table"]}
    tested = {fit: list(line["datasets"]) for fit, line in table.items()}
    assert tested == {"itself": ["mine", "half"], "mine": ["half", "tenth"], "half": ["tenth"]}
    for line in table.values():
        values = [each["srcc"] for each in line["datasets"].values()]
        assert line["average"]["srcc"] == pytest.approx(np.mean(values))
    # the same photos with the same order of scores: each fit predicts all of them equally well
    assert table["mine"]["datasets"]["half"] == table["mine"]["datasets"]["tenth"]

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
    model: Path, scores: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other.csv"
    other.write_text(scores.read_text())
    seen: list[str] = []
    extract = FeatureSource.dataset

    def counted(self: FeatureSource, dataset: Dataset, full_reference: bool = False) -> Tensor:
        seen.append(dataset.info.name)
        return extract(self, dataset, full_reference)

    monkeypatch.setattr(FeatureSource, "dataset", counted)
    both = f"{scores},{other}"
    arguments = ["--dataset", both, "--test-on", both, "--splits", 2, "--root", scores.parent]
    result = probe(model, *arguments)
    assert result.exit_code == 0, result.output
    assert seen == ["mine", "other"]


def test_two_tables_of_one_name_are_refused(model: Path, scores: Path, tmp_path: Path) -> None:
    same = tmp_path / "mine.csv"
    same.write_text(scores.read_text())
    result = probe(model, "--dataset", scores, "--test-on", same, "--root", scores.parent)
    assert result.exit_code == 2
    assert f"{scores} and {same} are both called mine" in result.output


def test_whole_photos(model: Path, scores: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    made = []
    for crops in ("five", "whole"):
        arguments = ["--dataset", scores, "--splits", 2, "--json", out, "--crops", crops]
        assert probe(model, *arguments).exit_code == 0
        made.append(json.loads(out.read_text())["splits"])
    assert made[0] != made[1]


def test_full_reference(model: Path, scores: Path) -> None:
    result = probe(model, "--dataset", scores, "--splits", 2, "--fr")
    assert result.exit_code == 0, result.output
    assert "full reference" in result.stdout
    bare = scores.parent / "bare.csv"
    lines = [line.rsplit(",", 1)[0] for line in scores.read_text().splitlines()]
    bare.write_text("\n".join(lines) + "\n")
    refused = probe(model, "--dataset", bare, "--fr")
    assert refused.exit_code == 2
    assert "no reference photos" in refused.output


def test_a_saved_head_scores_as_it_was_fitted(model: Path, scores: Path) -> None:
    result = probe(model, "--dataset", scores, "--splits", 2, "--save-head", "mine")
    assert result.exit_code == 0, result.output
    assert "mine" in list_heads(model)
    head = load_head(model, "mine")
    assert (head.info.n_images, head.info.score_range) == (30, (30.0, 80.9))
    assert head.info.higher_is_better
    encoder, config = load_encoder(model)
    extractor = FeatureExtractor(encoder, config.protocol, "cpu", "fp32")
    sharp, blurred = (
        head.score(extractor.features(decode(scores.parent / f"3-{level}.png"))).score
        for level in (0, 2)
    )
    assert sharp > blurred


def test_a_head_of_earlier_weights_is_refused(model: Path, scores: Path, tmp_path: Path) -> None:
    model = shutil.copytree(model, tmp_path / "model", ignore=lambda *_: ["heads"])
    assert probe(model, "--dataset", scores, "--splits", 2, "--save-head", "mine").exit_code == 0
    encoder, config = load_encoder(model)
    choose_head(model, "mine", config)
    save_encoder(model, random_encoder(config, seed=6), config)  # as a resumed training does
    with pytest.raises(WeightsError, match=r"'mine'.*changed.*fit it again with: shamisa fit"):
        choose_head(model, "mine", config)
    read_otherwise = dataclasses.replace(config, preprocessing=Preprocessing((0.5, 0.5, 0.5)))
    save_encoder(model, encoder, read_otherwise)
    with pytest.raises(WeightsError, match="fit it again"):
        choose_head(model, "mine", read_otherwise)
    photo = scores.parent / "r0.png"
    for command in (["score", photo], ["embed", photo, "--csv", tmp_path / "map.csv"]):
        result = run(*command, "--head", "mine", "--model", model)
        assert result.exit_code == 2, result.output
        assert "fit it again" in result.output


def test_a_head_for_another_view_than_the_models_is_refused(
    model: Path, scores: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(model, tmp_path / "model")
    encoder, config = load_encoder(copy)
    tiles = dataclasses.replace(
        config, protocol=ViewingProtocol(short_side=96, crop=64, crops="tiles")
    )
    save_encoder(copy, encoder, tiles)
    result = probe(copy, "--dataset", scores, "--splits", 2, "--save-head", "mine")
    assert result.exit_code == 2
    assert "crops='five'" in result.output
    assert (
        "scores by ViewingProtocol(short_side=96, max_side=None, crop=64, crops='tiles'"
        in result.output
    )
    assert probe(copy, "--dataset", scores, "--splits", 2).exit_code == 0


def test_figures_are_kept_where_the_head_cannot_be(
    model: Path, scores: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = shutil.copytree(model, tmp_path / "model", ignore=lambda *_: ["heads"])
    arguments = ["--dataset", scores, "--splits", 2, "--save-head", "mine"]
    out = tmp_path / "out.json"
    (model / "heads").write_text("a file where a folder should be")
    result = probe(model, *arguments, "--json", out)
    assert result.exit_code == 2
    assert "copy the model folder" in result.output
    assert json.loads(out.read_text())["rows"]
    out.unlink()
    monkeypatch.setattr("shamisa_cli.models.heads.os.access", lambda path, mode: False)
    result = probe(model, *arguments, "--json", out)
    assert result.exit_code == 2
    assert "permission denied" in result.output
    assert not out.exists()  # refused before any work


def test_a_head_of_dmos_keeps_its_own_direction(model: Path, scores: Path) -> None:
    turned = scores.parent / "turned.csv"
    rows = list(csv.reader(scores.open()))
    rows = [["image", "dmos"]] + [[row[0], str(100 - float(row[1]))] for row in rows[1:]]
    with turned.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    for table, name in ((scores, "up"), (turned, "down")):
        arguments = ["--dataset", table, "--splits", 2, "--save-head", name]
        assert probe(model, *arguments).exit_code == 0
    up, down = load_head(model, "up"), load_head(model, "down")
    assert not down.info.higher_is_better
    encoder, config = load_encoder(model)
    features = FeatureExtractor(encoder, config.protocol, "cpu", "fp32").features(
        decode(scores.parent / "3-1.png")
    )
    if up.info.alpha == down.info.alpha:
        assert down.raw(features) == pytest.approx(100 - up.raw(features), abs=0.01)
    assert down.score(features).score == pytest.approx(up.score(features).score, abs=8)


def test_ladders_in_the_fit_and_on_their_own(model: Path, scores: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for i in range(5):
        decode(scores.parent / f"r{i}.png").save(photos / f"{i}.png")
    common = ["--ladder-photos", 6, "--ladder-per-photo", 2, "--features-cache", tmp_path / "c"]
    (photos / "broken.png").write_bytes(b"no picture")
    arguments = ["--dataset", scores, "--splits", 2, "--save-head", "mine", *common]
    out = tmp_path / "out.json"
    result = probe(model, *arguments, "--with-ladder", photos, "--json", out)
    assert result.exit_code == 0, result.output
    made = json.loads(out.read_text())
    assert made["ladders"]["all"]["ladders"] == 2
    head = load_head(model, "mine")
    assert "10 severity ladders of 5 photos" in head.info.note
    assert head.info.metrics["ladder_in_order"] == made["ladders"]["all"]["in_order"]

    strong = ["--ladder-drop", 60, "--ladder-weight", 1000, "--calibrate"]
    result = probe(model, *arguments, "--with-ladder", photos, *strong)
    assert result.exit_code == 0, result.output
    knots = load_head(model, "mine").info.calibration
    assert {20, 80} <= {score for _, score in knots}

    files = ["--csv", tmp_path / "ladder.csv", "--markdown", tmp_path / "ladder.md"]
    alone = probe(model, "--dataset", "ladder", "--photos", photos, *common, *files)
    assert alone.exit_code == 0, alone.output
    assert "skipped" in alone.stderr
    assert len(list(csv.DictReader((tmp_path / "ladder.csv").open()))) == 1 + 10
    assert (tmp_path / "ladder.md").read_text().count("\n") == 2 + 1 + 10
    assert len(alone.stdout.splitlines()) == 1 + 1 + 10
    assert alone.stdout.splitlines()[1].split()[:2] == ["all", "10"]


def test_picture(model: Path, scores: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    picture = tmp_path / "plot.png"
    result = probe(model, "--dataset", scores, "--splits", 2, "--plot", picture)
    assert result.exit_code == 0, result.output
    with Image.open(picture) as image:
        assert min(image.size) > 500


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dataset", "kadid-10k"], "Did you mean kadid10k"),
        (["--dataset", "clive", "--root", "/nowhere"], "is not in /nowhere"),
        (["--dataset", "absent.csv"], "absent.csv: cannot be read"),
        (["--dataset", "ladder"], "give --photos"),
        (["--dataset", "ladder,clive"], "stands alone"),
        (["--dataset", "{csv}", "--fr", "--save-head", "x"], "--fr heads cannot be saved"),
        (["--dataset", "{csv}", "--with-ladder", "x"], "--save-head"),
        (["--dataset", "{csv}", "--save-head", "x", "--calibrate"], "--with-ladder"),
        (["--dataset", "{csv}", "--save-head", "../x"], "head name '../x'"),
        (["--dataset", "{csv},{csv}", "--save-head", "x"], "one --dataset"),
        (["--dataset", "{csv}", "--split", "official"], "no official split"),
        (["--dataset", "{csv}", "--json", "/no/such/out.json"], "there is no folder /no/such"),
        (["--dataset", "ladder", "--photos", "x", "--plot", "x.png"], "has no --plot"),
        (["--dataset", "{csv}", "--plot", "x.xyz"], "x.xyz: its ending names no picture format"),
        (["--dataset", "{csv}", "--crops", "whole", "--save-head", "x"], "leave --crops out"),
        (["--dataset", "{csv},{csv}"], "--dataset has {csv} twice"),
        (["--dataset", "ladder", "--photos", "{empty}"], "0 photos; ladders need at least 5"),
        (
            ["--dataset", "{csv}", "--save-head", "x", "--with-ladder", "{empty}"],
            "0 photos; ladders need at least 5",
        ),
        (["--dataset", "{csv}", "--head", "mine"], "--head is for --dataset ladder"),
        (["--dataset", "{csv}", "--photos", "{empty}"], "--photos is for --dataset ladder"),
        (["--dataset", "{csv}", "--ladder-gap", "2"], "--ladder-gap says nothing without"),
    ],
)
def test_usage_errors(
    model: Path, scores: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    save_head(model, Head(torch.ones(192), 0.0, HeadInfo("mine", "x", (0, 1), True, 9, 192, 1.0)))
    result = probe(model, *(each.format(csv=scores, empty=tmp_path) for each in arguments))
    assert result.exit_code == 2
    assert message.format(csv=scores) in " ".join(result.output.split())
    assert "Traceback" not in result.output


def test_too_few_images_for_splits(model: Path, scores: Path) -> None:
    few = scores.parent / "few.csv"
    few.write_text("\n".join(scores.read_text().splitlines()[:6]) + "\n")
    result = probe(model, "--dataset", few)
    assert result.exit_code == 2
    assert "Error: few: " in result.output
    assert "needed" in result.output


def test_a_damaged_photo_is_named(model: Path, scores: Path, tmp_path: Path) -> None:
    for path in scores.parent.glob("*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "4-1.png").write_bytes(b"no picture")
    result = probe(model, "--dataset", tmp_path / "mine.csv")
    assert result.exit_code == 1
    assert "4-1.png" in result.output


def test_datasets_are_listed_and_checked(scores: Path, tmp_path: Path) -> None:
    kadid = tmp_path / "kadid10k"
    (kadid / "images").mkdir(parents=True)
    names = ["I01_01_01", "I01_01_02", "I02_01_01"]
    for name in (*names, "I01", "I02"):
        Image.new("RGB", (8, 8)).save(kadid / "images" / f"{name}.png")
    rows = [f"{name}.png,{name[:3]}.png,{i + 1},0.1" for i, name in enumerate(names)]
    (kadid / "dmos.csv").write_text("\n".join(["dist_img,ref_img,dmos,var", *rows]) + "\n")
    listed = run("datasets", "--root", tmp_path)
    assert listed.exit_code == 0
    assert f"3 of 10125 images: {kadid}" in listed.stdout
    assert listed.stdout.count("not found") == 7

    part = run("datasets", "check", "kadid10k", "--root", tmp_path)
    assert part.exit_code == 1
    assert "only a part is here" in part.output
    (kadid / "images" / "I02.png").write_bytes(b"no picture")
    broken = run("datasets", "check", "kadid10k", "--root", tmp_path)
    assert broken.exit_code == 1
    assert "1 pictures cannot be read" in broken.output
    assert "I02.png" in broken.output
    (kadid / "images" / "I02.png").unlink()
    lost = run("datasets", "--root", tmp_path)
    assert "incomplete: kadid10k: 1 of 3 reference photos are missing" in lost.stdout
    assert run("datasets", "check", scores).exit_code == 0
