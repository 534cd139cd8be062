"""``shamisa cull`` as a user runs it, on scores that are given in rows; one test with a model."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import ExifTags, Image, ImageFilter

from shamisa_cli.cli import app
from shamisa_cli.scoring.rows import RowFile
from shamisa_cli.scoring.score import Score

Cull = Callable[..., Result]

SCORES = {
    "photos/a.jpg": 80.0,
    "photos/b.jpg": 60.0,  # b, c, d: a burst
    "photos/c.jpg": 70.0,
    "photos/d.jpg": 50.0,
    "photos/sub/a.jpg": 40.0,
}
ROW = Score("", 0.0, 96, 64, 96, 64, "tiny@0", "toy")


@pytest.fixture
def photos(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sample_photos: list[Image.Image]
) -> Path:
    """Five photos with sidecars, one that is broken, and ``rows.csv``."""
    monkeypatch.chdir(tmp_path)
    Path("photos/sub").mkdir(parents=True)
    for n, name in enumerate(SCORES):
        exif = Image.Exif()
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = (
            f"2026:05:01 09:{0 if name[7] in 'bcd' else n + 1:02}:0{n}"
        )
        photo = sample_photos[n in (1, 2, 3)].resize((120, 80))
        photo.save(name, exif=exif, quality=90 - n)
    Path("photos/broken.jpg").write_text("no photo")
    Path("photos/a.xmp").write_text("<x/>")
    write_rows(SCORES)
    return tmp_path / "photos"


def write_rows(scores: dict[str, float]) -> None:
    rows = [replace(ROW, path=name, score=score) for name, score in scores.items()]
    rows.append(Score("photos/broken.jpg", *[None] * 5, "tiny@0", "toy", "failed", "no photo"))  # type: ignore[arg-type]
    RowFile(Path("rows.csv"), "csv", rows).close()


@pytest.fixture
def cull() -> Cull:
    def run(*arguments: object) -> Result:
        return CliRunner().invoke(app, ["cull", *map(str, arguments)])

    return run


@pytest.fixture
def by_rows(photos: Path, cull: Cull) -> Cull:
    return lambda *arguments: cull("photos", "--rows", "rows.csv", *arguments)


def tree(folder: str) -> list[str]:
    paths = (path for path in Path(folder).rglob("*") if path.is_file() or path.is_symlink())
    return sorted(path.relative_to(folder).as_posix() for path in paths)


def undo_file() -> Path:
    (found,) = Path("keepers").glob("shamisa-undo-*.jsonl")
    return found


def test_a_dry_run_shows_what_would_be_done_and_does_nothing(by_rows: Cull) -> None:
    before = tree(".")
    result = by_rows("--per-burst", 1, "--min", 45, "--into", "keepers", "--copy")
    assert result.exit_code == 1
    assert [line.split("\t") for line in result.stdout.splitlines()] == [
        ["keep", "80.0000", "-", "keeper", "photos/a.jpg"],
        ["reject", "60.0000", "1", "2 of 3 in its burst", "photos/b.jpg"],
        ["keep", "70.0000", "1", "1 of 3 in its burst", "photos/c.jpg"],
        ["reject", "50.0000", "1", "3 of 3 in its burst", "photos/d.jpg"],
        ["reject", "40.0000", "-", "scores less than 45", "photos/sub/a.jpg"],
    ]
    says = result.stderr.splitlines()
    assert says[-3:] == [
        "2 of 5 photos are keepers (1 burst)",
        "nothing was done: add --yes to copy 2 photos and 1 file that belongs to them into keepers",
        "not culled: photos/broken.jpg: no photo",
    ]
    assert tree(".") == before
    assert "add --list, or --into FOLDER" in by_rows("--best", 2).stderr


@pytest.mark.parametrize("how", ["copy", "link"])
def test_done_twice_it_is_done_once(by_rows: Cull, how: str) -> None:
    arguments = ("--best", "60%", "--into", "photos/keepers", f"--{how}", "--yes")
    result = by_rows(*arguments)
    assert "3 photos and 1 file that belongs to them" in result.stderr
    assert tree("photos/keepers") == ["a.jpg", "a.xmp", "b.jpg", "c.jpg"]
    assert Path("photos/keepers/a.jpg").is_symlink() == (how == "link")
    assert Path("photos/keepers/a.jpg").read_bytes() == Path("photos/a.jpg").read_bytes()
    again = by_rows(*arguments)
    assert "0 photos" in again.stderr
    assert "3 were there already" in again.stderr
    assert len(tree("photos/keepers")) == 4


def test_moved_and_put_back(by_rows: Cull, cull: Cull) -> None:
    before = {name: Path("photos", name).read_bytes() for name in tree("photos")}
    arguments = ("--min", "60", "--into", "keepers", "--move")
    assert by_rows(*arguments, "--yes").exit_code == 1  # of the broken one
    assert tree("photos") == ["broken.jpg", "d.jpg", "sub/a.jpg"]
    assert tree("keepers") == ["a.jpg", "a.xmp", "b.jpg", "c.jpg", undo_file().name]
    again = by_rows(*arguments)
    assert f"first: shamisa cull --undo {undo_file()}" in again.stderr
    assert "0 of 2 photos are keepers" in again.stderr
    result = cull("--undo", undo_file())
    assert result.exit_code == 0
    assert "4 files put back" in result.stderr
    assert {name: Path("photos", name).read_bytes() for name in tree("photos")} == before
    assert tree("keepers") == [undo_file().name]
    assert "0 files put back" in cull("--undo", undo_file()).stderr


def test_a_move_that_was_stopped_is_finished_as_it_began(
    by_rows: Cull, cull: Cull, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shamisa_cli.culling import journal

    finish, times = journal.finish_move, iter(range(9))

    def stopped(source: Path, target: Path) -> None:
        if next(times) == 2:
            raise OSError(5, "Input/output error")
        finish(source, target)

    arguments = ("--best", "60%", "--into", "keepers", "--move")
    with monkeypatch.context() as patched:
        patched.setattr(journal, "finish_move", stopped)
        result = by_rows(*arguments, "--yes")
    assert result.exit_code == 1
    assert "Input/output error; what is done is whole, run it again to go on" in result.stderr
    assert "b.jpg" in tree("photos")
    dry = by_rows(*arguments)
    assert "a run was stopped; with --yes it goes on" in dry.stderr
    other = by_rows("--best", "1", "--into", "keepers", "--move", "--yes")
    assert other.exit_code == 2
    assert f"put them back: shamisa cull --undo {undo_file()}" in other.stderr
    assert "b.jpg" in tree("photos")
    assert by_rows(*arguments, "--yes").exit_code == 0
    assert tree("keepers") == ["a.jpg", "a.xmp", "b.jpg", "c.jpg", undo_file().name]
    assert tree("photos") == ["broken.jpg", "d.jpg", "sub/a.jpg"]


def test_listed(by_rows: Cull) -> None:
    result = by_rows("--best", 2, "--list")
    assert result.stdout == "photos/a.jpg\nphotos/c.jpg\n"
    assert by_rows("--best", 2, "--list", "-0").stdout == "photos/a.jpg\0photos/c.jpg\0"


@pytest.mark.skipif(sys.platform != "linux", reason="names of bytes that are not UTF-8")
def test_hostile_names(photos: Path, cull: Cull) -> None:
    odd = ("-rf", "two\nlines", "\"q'uote $(x)", "caf\udce9", "\x1b[31m")
    names = [f"photos/{name}" for name in odd]
    for name in names:
        Path("photos/a.jpg").rename(f"{name}.jpg")
        Path("photos/a.jpg").write_bytes(Path(f"{name}.jpg").read_bytes())
    Path("photos/a.jpg").unlink()
    write_rows({f"{name}.jpg": 50.0 + n for n, name in enumerate(names)})
    arguments = ("--rows", "rows.csv", "--per-burst", 9)
    listed = CliRunner().invoke(app, ["cull", *map(str, arguments), "--list", "-0"])
    expected = {os.fsencode(f"{name}.jpg") for name in names}
    assert set(listed.stdout_bytes.split(b"\0")) == {*expected, b""}
    assert "1 paths have line breaks in them; use -0" in cull(*arguments, "--list").stderr
    table = cull(*arguments).stdout
    assert len(table.splitlines()) == len(names)
    assert "\x1b" not in table
    assert cull(*arguments, "--into", "k", "--move", "--yes").exit_code == 1
    moved = {name for name in os.listdir(b"k") if name.endswith(b".jpg")}  # noqa: PTH208
    assert moved == {os.path.basename(name) for name in expected}  # noqa: PTH119
    (undo,) = Path("k").glob("*.jsonl")
    assert cull("--undo", undo).exit_code == 0
    assert all(Path(f"{name}.jpg").exists() for name in names)


def test_what_is_there_is_never_overwritten(by_rows: Cull) -> None:
    Path("keepers").mkdir()
    Path("keepers/a.jpg").write_text("mine")
    for how in ("--copy", "--link", "--move"):
        result = by_rows("--best", 2, "--into", "keepers", how, "--yes")
        assert result.exit_code == 1
        assert "left where it is: photos/a.jpg" in result.stderr
        assert Path("keepers/a.jpg").read_text() == "mine"
        assert Path("photos/a.jpg").exists()
        if how != "--move":
            assert "c.jpg" in tree("keepers")
            Path("keepers/c.jpg").unlink()


@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write anywhere")
def test_folders_that_may_not_be_written(by_rows: Cull) -> None:
    Path("keepers").mkdir(mode=0o555)
    result = by_rows("--best", 2, "--into", "keepers", "--copy", "--yes")
    assert result.exit_code == 2
    assert "keepers" in result.stderr
    assert "Traceback" not in result.output


def test_two_runs_into_one_folder(by_rows: Cull) -> None:
    from shamisa_cli.commands.culled import only_one

    with only_one(Path("keepers")):
        result = by_rows("--best", 2, "--into", "keepers", "--copy", "--yes")
    assert result.exit_code == 2
    assert "keepers: another run is at work there" in result.stderr
    assert tree("keepers") == []


def test_scored_by_a_model(photos: Path, cull: Cull, tiny_model: Path) -> None:
    """Every photo is looked at once, and a burst is found by its detail.

    A file that is no photo stops nothing.
    """
    rows = Path("rows.csv").resolve()
    result = cull("photos", rows, "--model", tiny_model, "--device", "cpu", "--per-burst", 1)
    assert result.exit_code == 1
    assert f"not culled: {rows}: not a photo" in result.stderr
    assert "3 of 5 photos are keepers (1 burst)" in result.stderr
    assert "not culled: photos/broken.jpg: not a photo in a format" in result.stderr


def test_close_ups_decide_in_a_burst(
    photos: Path, cull: Cull, sample_photos: list[Image.Image]
) -> None:
    """By rows c is better; at full size it is out of focus."""
    for name, radius in (("b", 0), ("c", 3), ("d", 4)):
        path = photos / f"{name}.jpg"
        exif = Image.open(path).getexif()
        sample_photos[1].filter(ImageFilter.GaussianBlur(radius)).save(path, exif=exif, quality=95)
    how = "photos", "--rows", "rows.csv", "--per-burst", 1, "--model", "fast", "--device", "cpu"
    result = cull(*how, "--close-ups")
    lines = [line.split("\t") for line in result.stdout.splitlines()]
    keep, reason = next((line[0], line[3]) for line in lines if line[4] == "photos/b.jpg")
    assert keep == "keep", result.output
    assert re.fullmatch(r"1 of 3 in its burst, close up \d+", reason)
    assert "keep\t70.0000" in cull(*how).stdout
    refused = cull("photos", "--best", 3, "--close-ups")
    assert refused.exit_code == 2
    assert "--close-ups ranks the photos of bursts: add --per-burst 1" in refused.output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("photos", "what makes a keeper? Give --best 30%, --min 60 or --per-burst 1"),
        ("photos --best thirty", "--best must be a number of photos, 40, or a share, 30%"),
        ("photos --per-burst 0", "0 is not in the range"),
        ("photos --best 1e400", "--best must be a number of photos, 40, or a share, 30%"),
        ("photos --min 101", "101.0 is not in the range"),
        ("photos --min nan", "'--min': nan is not a finite number"),
        ("photos --best 3 --gap inf", "'--gap': inf is not a finite number"),
        ("photos --best 3 --gap nan", "'--gap': nan is not a finite number"),
        ("photos --per-burts 1", "--per-burst"),
        ("photos --best 3 --copy", "--copy needs the folder where keepers go: --into FOLDER"),
        ("photos --best 3 --copy --move --into k", "--copy and --move: give one of them"),
        ("photos --best 3 --list --into k", "leave --into out"),
        ("photos --best 3 --yes", "--yes needs what to do"),
        ("photos --best 3 -0", "--null is for --list"),
        ("--best 3", "no photos given"),
        ("empty --best 3", "empty: no photos to cull"),
        ("rows.csv --best 3", "rows.csv: no photo; rows that score wrote go by --rows rows"),
        ("photos --best 3 --rows none.csv", "none.csv: no such file; make it with shamisa score"),
        ("--best 3 --rows rows.csv --into photos --copy", "rows.csv: no photos to cull"),
        ("photos other --best 3 --rows rows.csv", "has no row of other/new.jpg"),
        ("photos --best 3 --rows photos/a.jpg", "is no CSV file of"),
        ("photos --best 3 --model fats", "unknown model 'fats'"),
        ("photos --best 3 --into photos --copy", "photos: no photos to cull"),
        ("--undo rows.csv", "rows.csv: is no undo file"),
        ("--undo none.jsonl", "none.jsonl: cannot be read"),
        ("photos --undo rows.csv", "--undo FILE stands alone"),
    ],
)
def test_wrong_usage_is_explained(photos: Path, cull: Cull, arguments: str, says: str) -> None:
    Path("empty").mkdir()
    Path("other").mkdir()
    Path("other/new.jpg").write_bytes(Path("photos/a.jpg").read_bytes())
    before = tree(".")
    result = cull(*arguments.split())
    assert result.exit_code == 2
    assert says in result.stderr
    assert "Traceback" not in result.output
    assert tree(".") == before


def test_features_that_were_kept_save_a_second_look(
    photos: Path, cull: Cull, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shamisa_cli.encoders.features import FeatureExtractor

    arguments = ("photos", "--model", tiny_model, "--device", "cpu", "--per-burst", 1)
    plain = cull(*arguments).stdout
    assert cull(*arguments, "--features-cache", "kept").stdout == plain
    seen = []
    monkeypatch.setattr(FeatureExtractor, "features_of", lambda _, photos: seen.append(photos))
    Path("photos/a.jpg").rename("photos/z.jpg")
    again = cull(*arguments, "--features-cache", "kept").stdout
    assert sorted(again.replace("z.jpg", "a.jpg").splitlines()) == sorted(plain.splitlines())
    assert seen == []
