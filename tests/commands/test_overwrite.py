"""No command replaces a file unless shamisa made it, and that is asked for."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from shamisa_cli.cli import app
from shamisa_cli.files import is_ours

pytest.importorskip("matplotlib", reason="plots are drawn by matplotlib")

SMALL = {
    "distort": ["{photo}", "--distortion", "darken", "--levels", "2"],
    "embed": ["{photos}"],
    "probe": ["--dataset", "{csv}", "--splits", "2"],
    "ladder": ["{photos}", "--sample", "5", "--per-photo", "1"],
    "fit": ["{csv}", "--splits", "2", "--name", "new"],
    "score": ["{photo}"],
    "export": [],
}
"""A short run of each command that writes files."""

WRITTEN = [
    ("distort", "--sheet", "out.png"),
    ("distort", "--sheet", "out.jpg"),
    ("distort", "--sheet", "out.webp"),
    ("embed", "--plot", "out.png"),
    ("embed", "--plot", "out.svg"),
    ("embed", "--plot", "out.pdf"),
    ("embed", "--csv", "out.csv"),
    ("probe", "--plot", "out.png"),
    ("probe", "--csv", "out.csv"),
    ("probe", "--json", "out.json"),
    ("probe", "--markdown", "out.md"),
    ("ladder", "--csv", "out.csv"),
    ("ladder", "--json", "out.json"),
    ("ladder", "--markdown", "out.md"),
    ("fit", "--json", "out.json"),
    ("score", "--csv", "out.csv"),
    ("score", "--json", "out.json"),
    ("score", "--jsonl", "out.jsonl"),
    ("score", "--report", "out.html"),
    ("export", "--torch-export", "out.pt2"),
    ("export", "--onnx", "out.onnx"),
]


Small = Callable[..., Result]


@pytest.fixture
def small(
    run: Callable[..., Result], model: Path, headed: Path, scores: Path, ladder_photos: Path
) -> Small:
    """Runs a command of :data:`SMALL`: ``small("embed", "--csv", path)``."""
    (ladder_photos / "broken.png").unlink()
    names = {"photo": scores.parent / "r0.png", "photos": ladder_photos, "csv": scores}

    def one(name: str, *options: object, model_name: object = None) -> Result:
        arguments = [each.format(**names) for each in SMALL[name]] + [*map(str, options)]
        asked = str(model_name or (model if name == "fit" else headed))
        if name != "distort":
            arguments += [asked] if name == "export" else ["--model", asked]
        if name in ("embed", "probe", "ladder", "fit"):
            return run(name, *arguments)
        return CliRunner().invoke(app, [name, *arguments])

    return one


def photo_bytes(photo: Image.Image) -> bytes:
    content = io.BytesIO()
    photo.resize((64, 48)).save(content, "JPEG")
    return content.getvalue()


@pytest.mark.parametrize(("command", "option", "name"), WRITTEN)
def test_what_is_there_is_kept_until_asked(
    small: Small,
    tmp_path: Path,
    sample_photos: list[Image.Image],
    command: str,
    option: str,
    name: str,
) -> None:
    if name.endswith(".onnx"):
        pytest.importorskip("onnxscript", reason='needs pip install "shamisa[export]"')
    out = tmp_path / name
    for precious in (photo_bytes(sample_photos[0]), b"image,mos\na.jpg,3\n"):
        out.write_bytes(precious)
        for more in ([], ["--overwrite"]):  # refused before the model is looked for
            refused = small(command, option, out, *more, model_name="no/such/model")
            assert refused.exit_code == 2
            assert f"{out}: " in refused.stderr
            assert "choose another name" in refused.stderr or "another file" in refused.stderr
            assert out.read_bytes() == precious
    out.unlink()

    assert not small(command, option, out).exception
    made = out.read_bytes()
    assert is_ours(out)
    refused = small(command, option, out, model_name="no/such/model")
    assert refused.exit_code == 2
    assert f"{out}: " in refused.stderr
    assert "--overwrite" in refused.stderr
    assert "another name" in refused.stderr
    assert out.read_bytes() == made
    os.utime(out, (0, 0))
    result = small(command, option, out, "--overwrite")
    assert not result.exception, result.output
    assert out.stat().st_mtime > 0
    left = {path.name for path in tmp_path.iterdir() if path.name.startswith(".")}
    assert left <= {f".{name}.photos"}  # no lock and no half file


def test_the_demos_sheet(tiny_model: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "contact-sheet.png"
    demo = ["demo", "--model", str(tiny_model), "--out", str(tmp_path)]
    sheet.write_bytes(b"a picture of mine")
    for more in ([], ["--overwrite"]):
        refused = CliRunner().invoke(app, [*demo, *more])
        assert refused.exit_code == 2
        assert f"{sheet}: is there, and nothing in it says that shamisa made it" in refused.stderr
    assert sheet.read_bytes() == b"a picture of mine"
    sheet.unlink()
    assert CliRunner().invoke(app, demo).exit_code == 0
    made = sheet.stat().st_mtime_ns
    refused = CliRunner().invoke(app, demo)
    assert refused.exit_code == 2
    assert "replace it with --overwrite, or choose another name" in refused.stderr
    assert sheet.stat().st_mtime_ns == made


def test_two_outputs_of_one_name_are_refused(small: Small, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = small("probe", "--csv", out, "--json", tmp_path / "." / "out")
    assert result.exit_code == 2
    assert "two files of one name" in result.stderr
    assert not out.exists()


def test_an_empty_file_is_as_good_as_none(small: Small, tmp_path: Path) -> None:
    out = tmp_path / "made-by-mktemp"
    out.touch()
    assert small("probe", "--csv", out).exit_code == 0
    assert is_ours(out)
