"""A model is taught, and explains photos: in Python, and from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from explaining_models import whole_model
from PIL import Image

import shamisa
from shamisa_cli.cli import app
from shamisa_cli.errors import PhotoError, UsageError, WeightsError
from shamisa_cli.explaining import Explainer, explain_scorer, load_explainer
from shamisa_cli.explaining.draw import PER_POINT, draw_map, write_points
from shamisa_cli.explaining.files import map_files
from shamisa_cli.explaining.store import load_explain_heads, save_explain_heads
from shamisa_cli.files import FOLDER_MARK, is_ours
from shamisa_cli.models.config import ModelConfig
from shamisa_cli.scoring.rows import read_rows


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(each) for each in arguments])


@pytest.fixture(scope="module")
def explainer(taught) -> Explainer:
    return load_explainer(taught[0], device="cpu", workers=2)


def test_teaching_prints_its_figures_and_keeps_them(taught, good_photos: Path) -> None:
    folder, printed = taught
    assert printed.exit_code == 0, printed.output
    info = json.loads((folder / "explain.json").read_text())
    assert info["photos"] == 18
    assert info["damaged"] == 18 * 32
    assert 0 <= info["metrics"]["kinds_map_single"] <= 1
    for name, value in info["metrics"].items():
        assert f"{name:24}{value:6.3f}" in printed.stdout
    again = run("fit-explain", good_photos, "--model", folder)
    assert again.exit_code == 2
    assert "already; replace that with --overwrite" in again.stderr


def test_teaching_refuses_what_cannot_work(good_photos: Path, tiny_model: Path, tmp_path) -> None:
    few = tmp_path / "few"
    few.mkdir()
    Image.new("RGB", (80, 80)).save(few / "one.png")
    for arguments, says in (
        ((few, "--model", whole_model(tmp_path / "whole")), "at least 20 are needed"),
        ((good_photos, "--model", tiny_model), "needs pooling regions and crops whole"),
        ((good_photos, "--model", "lite0"), "is bundled and stays as it is"),
    ):
        refused = run("fit-explain", *arguments)
        assert refused.exit_code == 2, refused.output
        assert says in refused.stderr


def test_scores_are_those_of_score_and_photos_stand_alone(explainer, good_photos: Path) -> None:
    paths = sorted(str(path) for path in good_photos.iterdir())[:5]
    plain = list(explainer.scorer.score_many(paths))
    several = list(explainer.explain_many([paths[0], "absent.png", *paths[1:]]))
    assert [each.score.score for each in several if each.quality] == [row.score for row in plain]
    assert several[1].score.failed
    assert "no such file" in several[1].score.error
    with pytest.raises(ValueError, match="has no map"):
        several[1].on_photo()
    alone = explainer.explain(paths[0])
    torch.testing.assert_close(several[0].quality.points, alone.quality.points, atol=0, rtol=0)
    assert several[0].kinds == alone.kinds
    quality = alone.quality
    sum_of = quality.base + float(quality.points.mean()) + quality.left_over
    assert sum_of == pytest.approx(alone.score.score, abs=1e-3)
    assert alone.on_photo().shape == (72, 96)
    assert json.loads(json.dumps(alone.to_mapping()))["map"]["base"] == quality.base
    with pytest.raises(PhotoError):
        explainer.explain("absent.png")


def test_a_photo_smaller_than_the_crop(explainer) -> None:
    small = explainer.explain(Image.effect_noise((50, 30), 60).convert("RGB"))
    assert small.score.padded
    assert small.picture.size == (50, 30)
    assert small.on_photo().shape == (30, 50)


def test_maps_are_drawn_and_written(explainer, good_photos: Path, tmp_path: Path) -> None:
    explanation = explainer.explain(str(sorted(good_photos.iterdir())[0]))
    drawn = draw_map(explanation)
    assert drawn.width >= explanation.picture.width
    assert drawn.height > explanation.picture.height + 60
    points = explanation.on_photo()
    write_points(points, tmp_path / "map.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "map.npy"), points.numpy())
    write_points(points, tmp_path / "map.png")
    levels = np.asarray(Image.open(tmp_path / "map.png"), np.float64)
    wanted = np.clip(points.numpy(), -100, 99.99)
    np.testing.assert_allclose((levels - 32768) / PER_POINT, wanted, atol=0.01)
    assert is_ours(tmp_path / "map.png")
    with pytest.raises(UsageError, match=r"is written as \.npy or \.png"):
        write_points(points, tmp_path / "map.tif")


def test_what_is_stored_is_checked(taught, tmp_path: Path) -> None:
    folder = taught[0]
    config = ModelConfig.load(folder / "config.json")
    heads = load_explain_heads(folder, config, "toy")
    with pytest.raises(UsageError, match="explains the scores of head 'toy' only"):
        load_explain_heads(folder, config, "other")
    bare = whole_model(tmp_path / "bare")
    with pytest.raises(UsageError, match=r"cannot explain its scores yet.*fit-explain"):
        load_explainer(bare)
    save_explain_heads(bare, heads)
    assert torch.equal(load_explain_heads(bare, config, "toy").places.hidden, heads.places.hidden)
    info = json.loads((bare / "explain.json").read_text())
    (bare / "explain.json").write_text(json.dumps({**info, "encoder": "another"}))
    with pytest.raises(WeightsError, match="before the model's weights changed"):
        load_explain_heads(bare, config, "toy")
    (bare / "explain.json").write_text(json.dumps({**info, "kinds": info["kinds"][:3]}))
    with pytest.raises(WeightsError, match=r"explain\.safetensors: does not fit explain\.json"):
        load_explain_heads(bare, config, "toy")
    (bare / "explain.json").write_text(json.dumps(info))
    (bare / "explain.safetensors").write_bytes(b"torn")
    with pytest.raises(WeightsError, match="cannot be read as safetensors"):
        load_explain_heads(bare, config, "toy")


def test_tiles_and_five_crops_have_no_map(taught) -> None:
    scorer = shamisa.load(taught[0], device="cpu", native=True)
    with pytest.raises(UsageError, match="leave out native and crops"):
        explain_scorer(scorer, taught[0])


def test_the_command_explains(taught, good_photos: Path, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    photo = sorted(good_photos.iterdir())[0]
    model = ("--model", taught[0], "--device", "cpu")
    done = run("explain", photo, *model, "--out", "e.png", "--points", "p.npy", "--json", "e.json")
    assert done.exit_code == 0, done.output
    assert "looks like: " in done.stdout
    assert "left over" in done.stdout
    (record,) = json.loads(Path("e.json").read_text())
    assert len(record["kinds"]) == 24
    assert np.load("p.npy").shape == (72, 96)
    assert Image.open("e.png").width >= 96
    again = run("explain", photo, *model, "--out", "e.png")
    assert again.exit_code == 2
    assert "--overwrite" in again.stderr
    some = run("explain", photo, "absent.jpg", *model)
    assert some.exit_code == 1
    assert "absent.jpg: no such file" in some.stderr
    for arguments, says in (
        ((good_photos, "--out", "x.png"), "take one photo, and there are 20"),
        ((photo, "--out", "x.txt"), "--out writes .png"),
        ((photo, "--points", "x.tif"), "--points writes .npy"),
        ((), "no photos given"),
    ):
        refused = run("explain", *arguments, *model)
        assert refused.exit_code == 2, refused.output
        assert says in refused.stderr


def test_score_explains_and_draws_maps(taught, good_photos, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        Path(name).mkdir()
        Image.open(sorted(good_photos.iterdir())[0]).save(f"{name}/p.png")
    Path("a/broken.jpg").write_bytes(b"no photo")
    model = ("--model", taught[0], "--device", "cpu")
    arguments = ("score", "a", "b", *model, "--csv", "o.csv", "--explain", "--map", "maps")
    done = run(*arguments, "--report", "r.html")
    assert done.exit_code == 1, "one failed"
    rows = read_rows(Path("o.csv"), "csv")
    plain = run("score", "a", "b", *model, "--jsonl", "-").stdout
    scores = [json.loads(line)["score"] for line in plain.splitlines()]
    assert [row.to_row()["score"] for row in rows] == scores
    maps = sorted(path.name for path in Path("maps").glob("*.png"))
    assert len(maps) == 2, "two photos of one name have two maps"
    assert all(is_ours(Path("maps") / name) for name in maps)
    assert maps[0].split("-")[0] == "p.png"
    page = Path("r.html").read_text()
    assert all(name in page for name in maps)
    again = run(*arguments, "--resume")
    assert again.exit_code == 1, again.output
    refused = run("score", "a", *model, "--map", "maps")
    assert refused.exit_code == 2
    assert "maps: holds maps already; replace them with --overwrite" in refused.stderr
    Path("mine").mkdir()
    Path("mine/notes.txt").write_text("mine")
    refused = run("score", "a", *model, "--map", "mine")
    assert refused.exit_code == 2
    assert "holds 'notes.txt', which shamisa did not make" in refused.stderr
    refused = run("score", "a", *model, "--explain", "--head", "other")
    assert refused.exit_code == 2
    assert "leave out --head 'other'" in refused.stderr


def test_files_of_maps_depend_on_paths_alone() -> None:
    files = map_files(Path("m"), ["x/a.jpg", "b.jpg", "y/a.jpg", "b.jpg"])
    assert files["b.jpg"] == Path("m/b.jpg.map.png")
    assert len({*files.values()}) == 3
    assert map_files(Path("m"), ["y/a.jpg", "x/a.jpg"])["x/a.jpg"] == files["x/a.jpg"]
    assert map_files(Path("m"), ["x/a.jpg"], ["y/a.jpg"])["x/a.jpg"] == files["x/a.jpg"]
    alone = map_files(Path("m"), ["x/a.jpg"], ["x/a.jpg"])["x/a.jpg"]
    assert alone == Path("m/a.jpg.map.png")


@pytest.mark.parametrize("letter", ["x", "写", "\udcff"])
def test_names_of_maps_leave_room_for_more(letter: str) -> None:
    """File systems allow names of 255 bytes."""
    names = [letter * (240 // len(_bytes(letter))) + end for end in ("a.jpg", "b.jpg")]
    made = {path.name for path in map_files(Path("m"), names).values()}
    assert len(made) == 2
    assert all(len(_bytes(name)) <= 220 for name in made)
    assert all(name.endswith(".map.png") for name in made)


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def test_a_refused_run_keeps_the_rows_of_the_earlier_one(
    taught, good_photos, tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    photo, model = sorted(good_photos.iterdir())[0], ("--model", taught[0], "--device", "cpu")
    assert run("score", photo, *model, "--csv", "o.csv").exit_code == 0
    before = Path("o.csv").read_bytes()
    Path("head").mkdir()
    Path("head/notes.txt").write_text("mine")
    for asked in (("--map", "head"), ("--explain", "--head", "other")):
        refused = run("score", photo, *model, "--csv", "o.csv", "--overwrite", *asked)
        assert refused.exit_code == 2
        assert Path("o.csv").read_bytes() == before
        if "--map" in asked:
            assert "head: holds 'notes.txt', which shamisa did not make" in refused.stderr
            assert "--head" not in refused.stderr


def test_going_on_keeps_the_maps_of_others_and_tells_what_is_not_explained(
    taught, good_photos, tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, photo in zip("ab", sorted(good_photos.iterdir())[:2], strict=True):
        Path(name).mkdir()
        Image.open(photo).save(f"{name}/p.png")
    model = ("--model", taught[0], "--device", "cpu", "--csv", "o.csv", "--map", "maps")
    assert run("score", "a", *model).exit_code == 0
    first = Path("maps/p.png.map.png").read_bytes()
    done = run("score", "b", *model, "--resume")
    assert done.exit_code == 0
    assert "stay" not in done.stderr
    assert Path("maps/p.png.map.png").read_bytes() == first
    assert len([*Path("maps").glob("*.map.png")]) == 2
    again = run("score", "a", "b", *model, "--resume", "--explain")
    assert "2 rows stay as they are; --overwrite, not --resume" in again.stderr


def test_a_map_that_cannot_be_written_costs_itself(
    taught, good_photos, tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    photos = sorted(good_photos.iterdir())[:2]
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps" / FOLDER_MARK).write_text("shamisa")
    (tmp_path / "maps" / f"{photos[0].name}.map.png").mkdir()
    model = ("--model", taught[0], "--device", "cpu", "--csv", "o.csv")
    done = run("score", *photos, *model, "--map", "maps", "--overwrite")
    assert done.exit_code == 1
    assert f"{photos[0].name}.map.png: cannot be written" in done.stderr
    assert len(read_rows(Path("o.csv"), "csv")) == 2
    assert (tmp_path / "maps" / f"{photos[1].name}.map.png").is_file()


def test_lines_say_what_photos_look_like(taught, good_photos, tmp_path) -> None:
    """In a pipe where it is asked for; a script that reads three fields meets no others else."""
    photo = tmp_path / "gray.png"
    Image.new("RGB", (160, 120), (120, 120, 120)).save(photo)
    model = ("--model", taught[0], "--device", "cpu", "--quiet")
    (plain,) = run("score", photo, *model).stdout.splitlines()
    (explained,) = run("score", photo, *model, "--explain").stdout.splitlines()
    assert explained.split("\t")[:3] == plain.split("\t")
    assert len(explained.split("\t")) == 5
    assert explained.endswith("mostly smooth, where scores are less sure")
