"""`shamisa fit` from the command line: heads that are kept, and those that are refused."""

from __future__ import annotations

import csv
import dataclasses
import functools
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

from shamisa_cli.cli import app
from shamisa_cli.encoders.config import Preprocessing
from shamisa_cli.encoders.features import FeatureExtractor
from shamisa_cli.errors import WeightsError
from shamisa_cli.imaging.decode import decode
from shamisa_cli.models.heads import choose_head, list_heads, load_head
from shamisa_cli.models.store import load_encoder, random_encoder, save_encoder

Run = Callable[..., Result]


def features_of(model: Path, photo: Path) -> torch.Tensor:
    encoder, config = load_encoder(model)
    return FeatureExtractor(encoder, config.protocol, "cpu", "fp32").features(decode(photo))


def test_the_dataset_is_named_once_in_either_way(
    fit: Run, probe: Run, model: Path, scores: Path, tmp_path: Path
) -> None:
    made = fit("--dataset", scores, "--splits", 1, "--name", "again")
    assert made.exit_code == 0, made.output
    assert "again" in list_heads(model)
    for asked in ((), (scores, "--dataset", scores)):
        refused = fit(*asked, "--name", "none")
        assert refused.exit_code == 2
        assert "name one dataset" in refused.output
    tables = [probe(*asked, "--splits", 1).output for asked in ((scores,), ("--dataset", scores))]
    assert tables[0] == tables[1]
    assert "SRCC" in tables[0]
    assert "name a dataset" in probe("--splits", 1).output
    assert "-: only rows of shamisa score go to" in probe(scores, "--csv", "-").output


def test_a_saved_head_scores_as_it_was_fitted(fit: Run, model: Path, scores: Path) -> None:
    result = fit(scores, "--splits", 2, "--name", "mine")
    assert result.exit_code == 0, result.output
    assert "mine" in list_heads(model)
    head = load_head(model, "mine")
    assert (head.info.n_images, head.info.score_range) == (30, (30.0, 80.9))
    assert head.info.higher_is_better
    sharp, blurred = (
        head.score(features_of(model, scores.parent / f"3-{level}.png")).score for level in (0, 2)
    )
    assert sharp > blurred
    everyday = head.info.everyday
    assert everyday is not None
    assert everyday.photos == "30 images of mine"
    assert everyday.scores[0] < everyday.scores[50] < everyday.scores[100]


def test_a_head_of_earlier_weights_is_refused(
    fit: Run, model: Path, scores: Path, tmp_path: Path
) -> None:
    assert fit(scores, "--splits", 2, "--name", "mine").exit_code == 0
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
        options = ["--head", "mine", "--model", model]
        result = CliRunner().invoke(app, [str(each) for each in (*command, *options)])
        assert result.exit_code == 2, result.output
        assert "fit it again" in result.output


def test_a_head_for_another_view_than_the_models_is_refused(
    fit: Run, model: Path, scores: Path, tmp_path: Path
) -> None:
    encoder, config = load_encoder(model)
    protocol = dataclasses.replace(config.protocol, crops="tiles")
    save_encoder(model, encoder, dataclasses.replace(config, protocol=protocol))
    result = fit(scores, "--splits", 2, "--name", "mine")
    assert result.exit_code == 2
    assert "crops='five'" in result.output
    assert f"scores by {protocol}" in result.output


def test_figures_are_kept_where_the_head_cannot_be(
    fit: Run, model: Path, scores: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = [scores, "--splits", 2, "--name", "mine"]
    out = tmp_path / "out.json"
    (model / "heads").write_text("a file where a folder should be")
    result = fit(*arguments, "--json", out)
    assert result.exit_code == 2
    assert "copy the model folder" in result.output
    assert json.loads(out.read_text())["rows"]
    out.unlink()
    monkeypatch.setattr("shamisa_cli.models.heads.os.access", lambda path, mode: path != model)
    result = fit(*arguments, "--json", out)
    assert result.exit_code == 2
    assert "permission denied" in result.output
    assert not out.exists()  # refused before any work


def test_a_head_of_dmos_keeps_its_own_direction(fit: Run, model: Path, scores: Path) -> None:
    inverted = scores.parent / "inverted.csv"
    rows = list(csv.reader(scores.open()))
    # references too: the splits are the same, and so is the strength
    rows = [["image", "dmos", "reference"]] + [[a, str(100 - float(b)), c] for a, b, c in rows[1:]]
    with inverted.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    for table, name in ((scores, "up"), (inverted, "down")):
        assert fit(table, "--splits", 2, "--name", name).exit_code == 0
    up, down = load_head(model, "up"), load_head(model, "down")
    assert (up.info.higher_is_better, down.info.higher_is_better) == (True, False)
    assert up.info.strength == down.info.strength
    features = features_of(model, scores.parent / "3-1.png")
    assert down.raw(features) == pytest.approx(100 - up.raw(features), abs=0.01)
    assert down.score(features).score == pytest.approx(up.score(features).score, abs=0.01)
    tables = [head.info.everyday for head in (up, down)]
    assert tables[0] is not None
    assert tables[1] is not None
    assert tables[1].scores == pytest.approx(tables[0].scores, abs=0.02)


def test_other_good_photos_take_part(
    fit: Run, model: Path, scores: Path, ladder_photos: Path
) -> None:
    (ladder_photos / "broken.png").unlink()
    for i in range(3):
        shutil.copy(scores.parent / f"{i}-1.png", ladder_photos / f"other-{i}.png")
    arguments = [scores, "--splits", 2, "--ladders", ladder_photos, "--ladder-photos", 5]
    arguments += ["--ladder-per-photo", 1]
    heads = {}
    for name, more in (("all", []), ("two", ["--good-photos", 2]), ("none", ["--good-photos", 0])):
        result = fit(*arguments, *more, "--name", name)
        assert "Traceback" not in result.output
        heads[name] = load_head(model, name)
    assert "severity ladders of 5 photos" in heads["none"].info.note
    assert "photos as they are" not in heads["none"].info.note
    assert "and 2 other photos as they are" in heads["two"].info.note
    assert "and 3 other photos as they are" in heads["all"].info.note
    assert not torch.equal(heads["two"].weight, heads["none"].weight)


def test_a_head_with_ladders(fit: Run, model: Path, scores: Path, ladder_photos: Path) -> None:
    out = model / "out.json"
    arguments = [scores, "--splits", 2, "--name", "mine", "--json", out]
    arguments += ["--ladders", ladder_photos, "--ladder-photos", 6, "--ladder-per-photo", 2]
    result = fit(*arguments)
    assert result.exit_code == 1, result.output
    assert result.stderr.count("broken.png") == 1
    assert "1 photos could not be read; they are not in the fit" in result.stderr
    made = json.loads(out.read_text())
    assert made["ladders"]["all"]["ladders"] == 2
    assert [row["note"] for row in made["rows"]] == ["", "with ladders"]
    head = load_head(model, "mine")
    assert "10 severity ladders of 5 photos" in head.info.note
    assert head.info.metrics["ladder_in_order"] == made["ladders"]["all"]["in_order"]
    assert head.info.metrics["srcc"] == made["rows"][1]["measures"]["srcc"]["median"]

    strong = ["--ladder-drop", 60, "--ladder-weight", 1000, "--calibrate"]
    assert fit(*arguments, *strong, "--overwrite").exit_code == 1
    info = load_head(model, "mine").info
    assert {20, 80} <= {score for _, score in info.calibration}
    assert info.everyday is not None
    assert info.everyday.photos == "30 images of mine"


def test_fewer_directions_than_features(
    fit: Run,
    model: Path,
    scores: Path,
    ladder_photos: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As with the bundled models, the head and its bootstraps are of the features again."""
    (ladder_photos / "broken.png").unlink()
    monkeypatch.setattr("shamisa_cli.ladders.heads.DIRECTIONS", 20)
    arguments = [scores, "--splits", 2, "--ladders", ladder_photos, "--ladder-per-photo", 2]
    assert fit(*arguments, "--name", "mine", "--calibrate").exit_code == 0
    head = load_head(model, "mine")
    assert head.spread is not None
    assert head.spread.shape[1] == len(head.weight) + 1 == head.info.features + 1
    heads = torch.cat([head.weight[None], head.spread[:, :-1]]).double()
    assert torch.linalg.matrix_rank(heads, rtol=1e-2) <= 20
    assert head.score(features_of(model, scores.parent / "3-1.png")).uncertainty > 0


def test_unreadable_photos_are_named_and_the_rest_is_fitted(
    fit: Run, model: Path, scores: Path, tmp_path: Path
) -> None:
    broken = Path(shutil.copytree(scores.parent, tmp_path / "scored"))
    (broken / "4-1.png").write_bytes(b"no picture")
    result = fit(broken / "mine.csv", "--splits", 2, "--name", "mine")
    assert result.exit_code == 1
    assert f"skipped {broken / '4-1.png'}: " in result.stderr
    assert "1 unreadable left out" in result.stdout
    assert load_head(model, "mine").info.n_images == 29


@pytest.fixture
def bundled(headed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The bundled model ``tiny``, with the heads ``mine`` and ``worse``; the user has none."""
    for module in ("listing", "names"):  # an import after the patch would keep it
        place = f"shamisa_cli.models.{module}.bundled_folder"
        monkeypatch.setattr(place, lambda: tmp_path / "bundled")
    monkeypatch.setattr("shamisa_cli.models.heads.user_folder", lambda: tmp_path / "user")
    return Path(shutil.copytree(headed, tmp_path / "bundled" / "tiny"))


def test_a_head_of_a_bundled_model_is_the_users(
    run: Run, bundled: Path, headed: Path, scores: Path, tmp_path: Path
) -> None:
    fit = functools.partial(run, "fit", scores, "--model", "tiny", "--splits", 2, "--name")
    photo = str(scores.parent / "r0.png")

    def cli(*arguments: str) -> Result:
        return CliRunner().invoke(app, arguments)

    for more in ([], ["--overwrite"]):
        refused = fit("mine", *more)
        assert refused.exit_code == 2
        assert "head 'mine' comes with tiny; choose another name" in refused.stderr
    result = fit("own")
    assert result.exit_code == 0, result.output
    kept = tmp_path / "user" / "heads" / "tiny" / "own.json"
    assert str(kept) in result.stdout
    files = {path.name for path in headed.rglob("*")}
    assert {path.name for path in bundled.rglob("*")} == files  # nothing is kept there

    listed = cli("models").stdout
    assert "head own (yours): mine, 30 images" in listed
    assert f"your heads are in {kept.parent}" in listed
    assert "head mine (default): x, 9 images" in listed
    (row,) = json.loads(cli("models", "--json").stdout)
    assert (row["user_heads"], row["user_folder"]) == (["own"], str(kept.parent))
    scored = cli("score", photo, "--model", "tiny", "--head", "own")
    assert scored.exit_code == 0, scored.output
    assert cli("score", photo, "--model", "tiny", "--head", "ownn").stderr.count("own") > 1

    before = kept.read_bytes()
    refused = fit("own", "--seed", 1)
    assert refused.exit_code == 2
    assert f"{kept}: head 'own' is there already; replace it with --overwrite" in refused.stderr
    assert kept.read_bytes() == before
    assert fit("own", "--seed", 1, "--overwrite").exit_code == 0

    shutil.rmtree(bundled)  # as a reinstall does
    shutil.copytree(headed, bundled)
    assert cli("score", photo, "--model", "tiny", "--head", "own").exit_code == 0
    _, config = load_encoder(bundled)
    save_encoder(bundled, random_encoder(config, seed=6), config)  # another release's weights
    for change in (lambda info: info, lambda info: {**info, "encoder": ""}):
        kept.write_text(json.dumps(change(json.loads(kept.read_text()))))
        refused = cli("score", photo, "--model", "tiny", "--head", "own")
        assert refused.exit_code == 2
        assert "fit it again" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{csv}"], "Missing option '--name'"),
        (["{csv}", "--name", "../x"], "head name '../x'"),
        (["clve", "--name", "x"], "Did you mean clive"),
        (["{csv}", "--name", "x", "--calibrate"], "--calibrate has no effect without --ladders"),
        (["{csv}", "--name", "x", "--ladder-gap", "2"], "--ladder-gap has no effect without"),
        (["{csv}", "--name", "x", "--ladders", "{empty}"], "0 photos; ladders need at least 5"),
    ],
)
def test_usage_errors(
    fit: Run, scores: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    result = fit(*(each.format(csv=scores, empty=tmp_path) for each in arguments))
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())
    assert "Traceback" not in result.output
