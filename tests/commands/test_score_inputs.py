"""What ``shamisa score`` is given: RAW photos, pipes, links, folders of all sorts."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from shamisa_cli.cli import app


@pytest.fixture
def score(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    """Runs ``shamisa score`` with the small model in a folder of its own, fp32 on the CPU."""
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    Image.radial_gradient("L").save("photos/good.png")

    def run(*args: str) -> Result:
        fixed = ["--model", str(tiny_model), "--device", "cpu", "--precision", "fp32"]
        return CliRunner().invoke(app, ["score", *args, *fixed])

    return run


def paths(result: Result) -> list[str]:
    return [line.split("\t")[2] for line in result.stdout.splitlines()]


def test_folders_tell_what_they_skip(score, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rawpy", None)
    for name in ("b.NEF", "a.cr2", ".hidden.cr2", "good.png.xmp"):
        Path("photos", name).touch()
    result = score("photos", "photos")
    assert result.exit_code == 0
    says = "2 files skipped: .cr2, .nef (RAW photos need an extra: pip install 'shamisa[raw]')\n"
    assert says in result.stderr
    assert "skipped" not in score("photos", "--quiet").stderr
    Path("photos/good.png").rename("photos/notes")
    result = score("photos", "--quiet")
    assert result.exit_code == 2
    assert "3 files skipped: .cr2, .nef, without ending (RAW" in result.stderr


def test_a_raw_photo_without_the_extra_fails(score, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rawpy", None)
    Image.new("RGB", (160, 120)).save("a.nef", "TIFF")  # its thumbnail comes first
    result = score("a.nef", "photos/good.png")
    assert result.exit_code == 1
    bad, good = result.stdout.splitlines()
    assert bad.startswith("-\tfailed\ta.nef\tRAW photos need an extra: pip install 'shamisa[raw]'")
    assert good.endswith("good.png")


@pytest.mark.skipif(os.name == "nt", reason="no named pipes there")
def test_a_named_pipe_is_a_failed_row(score) -> None:
    os.mkfifo("photos/pipe.jpg")
    result = score("photos")
    assert result.exit_code == 1
    assert paths(result) == ["photos/good.png", "photos/pipe.jpg"]
    assert "is a named pipe; only ordinary files are read" in result.stdout


def test_links_to_folders_elsewhere(score) -> None:
    Path("elsewhere").mkdir()
    Path("photos/good.png").rename("elsewhere/far.png")
    Path("photos/link").symlink_to(Path("elsewhere").absolute())
    result = score("photos")
    assert result.exit_code == 2
    says = "1 link out of the folder skipped: photos/link; see --follow-links"
    assert says in result.stderr
    for given in (("photos", "--follow-links"), ("photos/link",)):
        result = score(*given)
        assert paths(result) == ["photos/link/far.png"]
        assert "skipped" not in result.stderr


def test_viewing_sizes_have_a_floor(score) -> None:
    for option in ("--short-side", "--max-side"):
        result = score("photos", option, "10")
        assert result.exit_code == 2
        assert f"{option} must be at least 128 px, got 10" in result.stderr
        assert score("photos", option, "128").exit_code == 0


def test_other_commands_tell_it_too(score) -> None:
    Path("photos/notes.txt").touch()
    result = CliRunner().invoke(app, ["distort", "photos", "--out", "out", "--levels", "2"])
    assert result.exit_code == 0
    assert "1 file skipped: .txt" in result.stderr


@pytest.mark.skipif(os.name == "nt", reason="such a name cannot be made there")
@pytest.mark.parametrize("option", ["--csv", "--json", "--jsonl"])
def test_a_name_that_is_not_utf8_is_resumed(score, option: str) -> None:
    odd = os.fsdecode(b"photos/caf\xe9.png")
    Path("photos/good.png").rename(odd)
    assert score("photos", option, "rows").exit_code == 0
    before = Path("rows").read_text(encoding="utf-8")
    assert r"caf\xe9.png" in before.replace(r"\\", "\\")
    result = score("photos", option, "rows", "--resume")
    assert "1 already there" in result.stderr
    assert Path("rows").read_text(encoding="utf-8") == before
