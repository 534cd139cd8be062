"""``shamisa distort``, from the command line to the files."""

from __future__ import annotations

import json
import os
import shutil
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from shamisa_cli.cli import app
from shamisa_cli.datasets.own_csv import open_csv
from shamisa_cli.distortions.copies import stream_of
from shamisa_cli.distortions.registry import ENTRIES, get_distortion
from shamisa_cli.distortions.sheets import CROP
from shamisa_cli.evaluation.mdsi import mdsi
from shamisa_cli.imaging.arrays import to_tensor
from shamisa_cli.imaging.closeup import telling_box
from shamisa_cli.spelling import unescape_name


@pytest.fixture
def photo(tmp_path: Path, sample_photos: list[Image.Image]) -> Path:
    path = tmp_path / "photos" / "china.png"
    path.parent.mkdir()
    sample_photos[0].crop((200, 100, 264, 148)).save(path)
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["distort", *map(str, arguments)])


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metadata.jsonl").read_text().splitlines()]


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path)).astype(float)


def test_every_entry_at_five_severities(photo: Path, tmp_path: Path) -> None:
    out, sheet = tmp_path / "out", tmp_path / "sheet.png"
    result = run(photo, "--out", out, "--sheet", sheet)
    assert result.exit_code == 0, result.output
    lines = records(out)
    assert len(lines) == 26 * 5
    assert {p.name for p in out.glob("*.png")} == {line["file"] for line in lines}
    for entry, first in zip(ENTRIES, range(0, 130, 5), strict=True):
        rungs = lines[first : first + 5]
        natives = [line["functions"][0]["native"] for line in rungs]
        assert natives == pytest.approx([entry.sign * v for v in entry.distortion.levels])
        assert [line["functions"][0]["severity"] for line in rungs] == [0, 0.25, 0.5, 0.75, 1]
        assert {line["functions"][0]["name"] for line in rungs} == {entry.distortion.name}
        assert {line["reference"] for line in rungs} == {"china.png"}
    assert Image.open(sheet).height > 26 * 100


def test_one_distortion_at_one_severity_and_one_sign_at_levels(photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run(photo, "--out", out, "--distortion", "jpeg", "--severity", 0.6).exit_code == 0
    (line,) = records(out)
    quality = line["functions"][0]["native"]
    assert quality == int(quality)
    jpeg = tmp_path / "direct.jpg"
    Image.open(photo).save(jpeg, quality=int(quality))
    assert np.array_equal(pixels(out / line["file"]), pixels(jpeg))

    out = tmp_path / "signed"
    result = run(photo, "--out", out, "--distortion", "mean_shift-", "--levels", 3)
    assert result.exit_code == 0
    natives = [line["functions"][0]["native"] for line in records(out)]
    assert natives == pytest.approx([0, -0.115, -0.185])
    brightness = [pixels(out / line["file"]).mean() for line in records(out)]
    assert brightness[0] > brightness[1] > brightness[2]


def test_compositions_are_recorded_in_order_and_reproducible(photo: Path, tmp_path: Path) -> None:
    outs = [tmp_path / name for name in ("one", "two", "other")]
    for out, seed in zip(outs, (3, 3, 4), strict=True):
        assert run(photo, "--out", out, "--compose", 6, "--seed", seed).exit_code == 0
    one, two, other = (records(out) for out in outs)
    assert one == two
    assert one != other
    for line in one:
        assert np.array_equal(pixels(outs[0] / line["file"]), pixels(outs[1] / line["file"]))
        categories = [f["category"] for f in line["functions"]]
        assert 1 <= len(categories) == len(set(categories)) <= 7
        for function in line["functions"]:
            if get_distortion(function["name"]).integer:
                assert function["native"] == int(function["native"])


def test_random_copies_show_every_distortion_before_one_comes_again(
    photo: Path, tmp_path: Path
) -> None:
    few, many = tmp_path / "few", tmp_path / "many"
    assert run(photo, "--out", few, "--random", 5).exit_code == 0
    assert run(photo, "--out", many, "--random", 50).exit_code == 0
    names = [line["functions"][0]["name"] for line in records(many)]
    assert len(set(names[:24])) == len(set(names[24:48])) == 24
    assert records(few) == records(many)[:5]
    assert all(len(line["functions"]) == 1 for line in records(many))
    severities = [line["functions"][0]["severity"] for line in records(many)]
    assert min(severities) < 0.25
    assert max(severities) > 0.75
    assert len({line["file"] for line in records(many)}) == 50


@pytest.mark.parametrize("kind", [("--random", 8), ("--compose", 8), ("--levels", 2)])
def test_labels_make_a_dataset_of_the_copies(
    photo: Path, tmp_path: Path, kind: tuple[object, ...]
) -> None:
    Image.open(photo).rotate(180).save(photo.with_name("two, with a comma.png"))
    out = tmp_path / "out"
    result = run(photo.parent, "--out", out, *kind, "--labels")
    assert result.exit_code == 0, result.output
    dataset = open_csv(out / "labels.csv")
    lines = records(out)
    assert f"{len(lines) + 2} scores" in result.output
    scores = dict(zip(dataset.images, dataset.scores.tolist(), strict=True))
    damage = []
    for line in lines:
        original, copy = (
            to_tensor(Image.open(path).convert("RGB"))[None]
            for path in (photo.with_name(line["reference"]), out / line["file"])
        )
        assert line["mdsi"] == pytest.approx(mdsi(original, copy).item(), abs=1e-6)
        damage.append(line["mdsi"])
    for line in lines:
        less = sum(each < line["mdsi"] for each in damage) / len(damage)
        assert scores[out / line["file"]] == pytest.approx(100 - 100 * less, abs=1e-4)
    done = {out / line["file"]: line["functions"] for line in lines}
    told = zip(dataset.images, dataset.distortions, dataset.severities, strict=True)
    for path, distortion, severity in told:
        what = done.get(path, [{"name": "as it is", "severity": 0}])
        if len(what) > 1:
            assert (distortion, severity) == ("composition", "")
        else:
            assert (distortion, float(severity)) == (what[0]["name"], what[0]["severity"])
    photos = list(photo.parent.iterdir())
    assert {path.resolve() for path in dataset.reference_photos} == {*photos}
    as_they_are = [path for path in scores if path.resolve() in photos]
    assert [scores[path] for path in as_they_are] == [100, 100]
    assert len(set(dataset.references)) == 2


def test_labels_are_replaced_with_their_copies_and_a_table_of_ones_own_is_not(
    photo: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    arguments = (photo, "--out", out, "--random", 3)
    assert run(*arguments, "--labels").exit_code == 0
    before = (out / "labels.csv").read_bytes()
    assert run(*arguments, "--labels", "--seed", 1, "--overwrite").exit_code == 0
    assert (out / "labels.csv").read_bytes() != before
    assert run(*arguments, "--overwrite").exit_code == 0
    assert not (out / "labels.csv").exists()
    (out / "labels.csv").write_text("image,mos\na.png,1\n")
    result = run(*arguments, "--labels", "--overwrite")
    assert result.exit_code == 2
    assert "nothing in it says that shamisa made it" in result.output
    assert (out / "labels.csv").read_text() == "image,mos\na.png,1\n"


@pytest.mark.skipif(os.name == "nt", reason="such a name cannot be made there")
def test_labels_refuse_a_name_that_no_table_can_hold(photo: Path, tmp_path: Path) -> None:
    photo.rename(photo.with_name(os.fsdecode(b"caf\xe9.png")))
    result = run(photo.parent, "--out", tmp_path / "out", "--random", 2, "--labels")
    assert result.exit_code == 2
    assert "its name is not UTF-8" in result.output
    assert not (tmp_path / "out").exists()


def test_a_tree_is_mirrored_and_a_copy_does_not_depend_on_what_is_beside_it(
    photo: Path, tmp_path: Path
) -> None:
    deep = photo.parent / "deep" / "a.png"
    deep.parent.mkdir()
    Image.open(photo).rotate(90).save(deep)
    photo.with_name("b.png").write_bytes(b"broken")
    alone, all_of_them = tmp_path / "alone", tmp_path / "all"
    assert run(photo, "--out", alone, "--compose", 2).exit_code == 0
    result = run(photo.parent, "--out", all_of_them, "--compose", 2)
    assert result.exit_code == 1
    assert f"skipped {photo.with_name('b.png')}" in result.output
    assert "1 of 3 photos could not be read" in result.output
    files = [line["file"] for line in records(all_of_them)]
    start = "china_composition"
    assert files[:2] == [f"{start}_1.png", f"{start}_2.png"]
    assert files[2:] == ["deep/a_composition_1.png", "deep/a_composition_2.png"]
    assert all((all_of_them / file).is_file() for file in files)
    assert records(alone) == records(all_of_them)[:2]
    for file in files[:2]:
        assert np.array_equal(pixels(alone / file), pixels(all_of_them / file))


def test_an_earlier_set_is_replaced_when_asked_and_nothing_else(
    photo: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert run(photo, "--out", out, "--compose", 3).exit_code == 0
    edited, note = out / "china_composition_2.png", out / "note.txt"
    Image.open(edited).rotate(90).save(edited)
    note.write_text("mine")
    edit = edited.read_bytes()
    assert run(photo, "--out", out, "--distortion", "darken", "--overwrite").exit_code == 0
    left = {path.name for path in out.iterdir()}
    assert left == {line["file"] for line in records(out)} | {
        "metadata.jsonl",
        edited.name,
        note.name,
    }
    assert edited.read_bytes() == edit
    result = run(photo, "--out", out, "--compose", 3, "--overwrite")
    assert result.exit_code == 1
    assert f"{edited}: is in the way" in result.output
    assert edited.read_bytes() == edit


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "nothing to make"),
        (["--out", "o", "--distortion", "gausian_blur"], "Did you mean gaussian_blur"),
        (["--out", "o", "--severity", "1.5"], "severity"),
        (["--out", "o", "--compose", "2", "--severity", "0.5"], "takes neither"),
        (["--out", "o", "--random", "2", "--distortion", "jpeg"], "--random draws distortions"),
        (["--out", "o", "--random", "2", "--compose", "2"], "choose one"),
        (["--sheet", "s.png", "--labels"], "give --out DIR too"),
        (["--out", "o", "absent.jpg"], "'absent.jpg' does not exist"),
    ],
)
def test_wrong_usage_is_explained(photo: Path, options: list[str], message: str) -> None:
    result = run(photo, *options)
    assert result.exit_code == 2
    assert message in result.output


def test_refuses_folders_that_would_mix_or_lack_something(photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = (photo, "--out", out, "--distortion", "darken", "--severity", 0)
    assert run(*arguments).exit_code == 0
    again = run(*arguments)
    assert again.exit_code == 2
    assert "exists already; replace that set of copies with --overwrite" in again.output
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "china_darken_1.png").write_bytes(b"a picture of mine")
    result = run(photo, "--out", tmp_path / "mine", "--overwrite")
    assert result.exit_code == 2
    assert "holds files that are no copies" in result.output
    Image.open(photo).save(photo.with_suffix(".bmp"))
    clash = run(photo.parent, "--out", tmp_path / "new")
    assert clash.exit_code == 2
    assert "would have the same names" in clash.output
    for out in (photo, photo / "below"):
        result = run(photo, "--out", out)
        assert result.exit_code == 2, result.output
        assert f"{out}: a file is in the way; choose another folder" in result.output
    (tmp_path / "empty").mkdir()
    assert "empty: no photos there" in run(tmp_path / "empty", "--out", tmp_path / "new").output


def test_a_sheet_that_could_not_be_written_is_refused_before_any_copy(
    photo: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    for sheet, message in (
        (tmp_path / "nofolder" / "s.png", "there is no folder"),
        (tmp_path / "s", "ends in .png"),
        (tmp_path / "s.txt", "ends in .png"),
        (tmp_path / "s.xbm", "ends in .png"),  # known to Pillow, but not for colors
    ):
        result = run(photo, "--out", out, "--sheet", sheet)
        assert result.exit_code == 2, result.output
        assert str(sheet) in result.output
        assert message in result.output
        assert not out.exists()


def test_a_sheet_beside_the_copies_and_one_that_its_format_cannot_hold(
    photo: Path, tmp_path: Path
) -> None:
    out = tmp_path / "made" / "out"
    one = ("--distortion", "darken", "--severity", 1)
    for sheet in (out / "s.PNG", out.parent / "s.jpg"):
        assert run(photo, "--out", out, "--sheet", sheet, *one).exit_code == 0
        assert Image.open(sheet).size[0] > 200
        assert run(photo, "--out", out, "--overwrite", *one).exit_code == 0
        shutil.rmtree(out)
    sheet = tmp_path / "s.webp"  # holds 16,383 px
    steps = ("--distortion", "darken", "--levels", 6 * 16_383 // 70)
    result = run(photo, "--sheet", sheet, *steps)
    assert result.exit_code == 1
    assert f"{sheet}: cannot be written" in result.output
    assert "ends in .png" in result.output


def test_a_sheet_of_a_camera_photo_fits_a_screen_and_shows_its_pixels(
    sample_photos: list[Image.Image], tmp_path: Path
) -> None:
    photo, sheet = tmp_path / "camera.png", tmp_path / "sheet.png"
    camera = sample_photos[0].resize((2400, 1600))
    camera.save(photo)
    assert run(photo, "--sheet", sheet, "--distortion", "jpeg", "--levels", 2).exit_code == 0
    shown = Image.open(sheet)
    assert shown.width <= 2000
    part = camera.crop(telling_box(camera, CROP))
    beside = 2 * 11 + CROP[0]  # px from the left: right of the whole photo
    below = [(beside, top, beside + CROP[0], top + CROP[1]) for top in range(100)]
    assert any(shown.crop(box).tobytes() == part.tobytes() for box in below)


@pytest.mark.skipif(os.name == "nt", reason="such a name cannot be made there")
@pytest.mark.parametrize(
    "options", [("--compose", 2), ("--distortion", "white_noise", "--levels", 2)]
)
def test_a_name_that_is_not_utf8(photo: Path, tmp_path: Path, options: tuple[object, ...]) -> None:
    odd = photo.with_name(os.fsdecode(b"caf\xe9.png"))
    photo.rename(odd)
    out, sheet = tmp_path / "out", tmp_path / "sheet.png"
    result = run(photo.parent, "--out", out, "--sheet", sheet, *options)
    assert result.exit_code == 0, result.output
    text = (out / "metadata.jsonl").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    assert [unescape_name(line["reference"]) for line in lines] == [odd.name] * 2
    assert {p.name for p in out.glob("*.png")} == {unescape_name(line["file"]) for line in lines}


def test_the_draws_of_names_are_those_of_their_utf8_bytes() -> None:
    assert stream_of("a/b.png") == zlib.crc32(b"a/b.png")
    assert stream_of("é.png") == zlib.crc32(b"\xc3\xa9.png")
    assert stream_of("caf\udce9.png") == zlib.crc32(b"caf\xe9.png")
