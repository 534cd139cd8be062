"""`shamisa gmad` from the command line, on a small model and photos."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from shamisa_cli.cli import app
from shamisa_cli.errors import PhotoError, UsageError
from shamisa_cli.experiments.gmad_pool import open_pool
from shamisa_cli.experiments.gmad_scores import load_models, score_pool
from shamisa_cli.files import is_ours
from shamisa_cli.scoring.loading import load


def gmad(*arguments: object) -> Result:
    common = ["--quiet", "--device", "cpu", "--workers", "0"]
    return CliRunner().invoke(app, ["gmad", *map(str, arguments), *common])


@pytest.fixture
def folder(tmp_path: Path, scores: Path) -> Path:
    """Waterloo Exploration's layout: three photos, each also blurred to two degrees."""
    pool = tmp_path / "pool"
    for name in ("pristine_images", "distorted_images"):
        (pool / name).mkdir(parents=True)
    for i in range(3):
        shutil.copy(scores.parent / f"r{i}.png", pool / f"pristine_images/0000{i}.png")
        for level in (1, 2):
            copy = pool / f"distorted_images/0000{i}_1_{level}.png"
            shutil.copy(scores.parent / f"{i}-{level}.png", copy)
    return pool


def lines_of(out: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((out / "pairs.csv").open()))


def test_photos_become_a_pool_with_sheets_and_a_table(
    headed: Path, ladder_photos: Path, tmp_path: Path
) -> None:
    for path in ladder_photos.glob("[1-4].png"):
        path.unlink()
    arguments = [headed, headed, "--head-b", "worse", "--photos", ladder_photos, "--levels", 3]
    outs = [tmp_path / name for name in ("one", "two")]
    for out in outs:
        result = gmad(*arguments, "--tolerance", 0.5, "--out", out)
        assert result.exit_code == 1, result.output  # one of the two photos is broken
        assert "1 photos could not be read; they are not in the pool" in result.stderr
        assert "Traceback" not in result.output
    lines = lines_of(outs[0])
    assert [(line["attacker"][-4:], line["level"]) for line in lines] == [
        *(("mine", level) for level in "123"),
        *(("orse", level) for level in "123"),
    ]
    assert {sum(int(line["pictures"]) for line in lines[:3])} == {120}
    found = [line for line in lines if line["better"]]
    assert len(found) >= 4
    for line in found:
        better, worse = (float(line[f"{each}_attacker"]) for each in ("better", "worse"))
        assert better - worse == pytest.approx(float(line["gap"]))
        assert float(line["low"]) <= float(line["worse_defender"]) <= float(line["high"])
        assert line["reference"] == str(ladder_photos / "0.png")
        assert 0 <= float(line["better_mdsi"]) < 1
    for name in ("pairs.csv", "a-attacks-b.png", "b-attacks-a.png"):
        assert is_ours(outs[0] / name)
        assert (outs[0] / name).read_bytes() == (outs[1] / name).read_bytes()
    with Image.open(outs[0] / "a-attacks-b.png") as sheet:
        assert sheet.width > 2 * 128
    shown = result.stdout.splitlines()
    assert shown[0].split()[0] == "attacker"
    assert "MDSI, a proxy, sides with" in result.stdout


def test_a_ready_pool_of_models_and_tables(headed: Path, folder: Path, tmp_path: Path) -> None:
    """By a table made by hand each photo's copies are equal, and the sharper is not the better."""
    rows = [
        (f"distorted_images/0000{i}_1_{level}.png", 10 * i + level / 100)
        for i in range(3)
        for level in (1, 2)
    ]
    table = tmp_path / "theirs.csv"
    table.write_text("path,score\n" + "".join(f"{path},{score}\n" for path, score in rows))
    out = tmp_path / "out"
    result = gmad(table, headed, "--pool", folder, "--levels", 3, "--same-photo", "--out", out)
    assert result.exit_code == 0, result.output
    assert "3 of 9 pictures have no score in a table" in result.stderr
    attacked = [line for line in lines_of(out) if line["defender"] == "theirs"]
    assert [line["pictures"] for line in attacked] == ["2", "2", "2"]
    scorer = load(headed, None, "cpu", workers=0)
    for i, line in enumerate(attacked):
        both = [folder / f"distorted_images/0000{i}_1_{level}.png" for level in (1, 2)]
        better, worse = sorted(both, key=lambda path: -(scorer.score(path).score or 0))
        assert (line["better"], line["worse"]) == (str(better), str(worse))
        assert line["better_distortion"].startswith("distortion 1, level ")
        sharper = min(line["better_mdsi"], line["worse_mdsi"], key=float)
        assert sharper == line["better_mdsi" if better == both[0] else "worse_mdsi"]

    refused = gmad(table, headed, "--pool", folder, "--out", out)
    assert refused.exit_code == 2
    assert "a-attacks-b.png: is there already; replace it with --overwrite" in refused.stderr
    assert gmad(table, headed, "--pool", folder, "--out", out, "--overwrite").exit_code == 0
    (out / "pairs.csv").write_text("mine\n")
    refused = gmad(table, headed, "--pool", folder, "--out", out, "--overwrite")
    assert "nothing in it says that shamisa made it" in refused.stderr


def test_a_folder_that_cannot_be_made_is_told_before_anything_is_scored(
    headed: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shamisa_cli.scoring.scorer.Scorer.score_with_features", None)
    (tmp_path / "file").touch()
    out = tmp_path / "file" / "out"
    result = gmad(headed, headed, "--head-b", "worse", "--pool", folder, "--out", out)
    assert result.exit_code == 1
    assert f"{out}: cannot be written: Not a directory" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fast", "lite0"], "which pictures? Give --photos"),
        (["fast", "lite0", "--photos", "{pool}", "--pool", "{pool}"], "one of these"),
        (["fast", "t.csv", "--photos", "{pool}"], "t.csv: a table has no scores for pictures"),
        (["fast", "t.csv", "--head-b", "x", "--pool", "{pool}"], "--head-b x: t.csv is a table"),
        (["fats", "{model}", "--pool", "{pool}"], "unknown model 'fats'"),
        (["fats", "{model}", "--pool", "{pool}"], "Did you mean fast"),
        (["{model}", "{model}", "--pool", "{pool}"], "both are the head mine of tiny"),
        (["{model}", "{model}", "--head-b", "wurse", "--pool", "{pool}"], "Did you mean worse"),
        (["{model}", "{model}", "--pool", "/no/such"], "no such folder"),
        (["{model}", "absent.csv", "--pool", "{pool}"], "absent.csv: cannot be read"),
    ],
)
def test_usage_errors(
    headed: Path, folder: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    asked = [each.format(pool=folder, model=headed) for each in arguments]
    result = gmad(*asked, "--out", tmp_path / "out")
    assert result.exit_code != 0
    assert message in " ".join(result.output.split())
    assert "Traceback" not in result.output
    assert not (tmp_path / "out").exists()


def test_two_heads_of_one_model_say_what_each_says_alone(headed: Path, folder: Path) -> None:
    first, second = load_models((str(headed), str(headed)), (None, "worse"), "cpu", 0)
    assert (first.name, second.name) == ("tiny/mine", "tiny/worse")
    assert first.scorer.extractor is second.scorer.extractor
    (folder / "else.png").write_bytes(b"no picture")
    skipped: list[PhotoError] = []
    scored = score_pool(open_pool(folder), (first, second), skipped.append)
    assert [str(each).split(":")[0] for each in skipped] == [str(folder / "else.png")]
    for head, found in (("mine", scored.first), ("worse", scored.second)):
        alone = load(headed, head, "cpu", workers=0)
        assert found.tolist() == [alone.score(picture.path).score for picture in scored.pictures]
    assert len(set(scored.first)) == 9


def test_two_models_have_their_folders_names_where_both_say_the_same(
    headed: Path, tmp_path: Path
) -> None:
    (tmp_path / "other").symlink_to(headed)
    with pytest.raises(UsageError, match="both are the head mine of tiny"):
        load_models((str(headed), str(tmp_path / "other")), ("mine", None), "cpu", 0)
