"""`shamisa datasets`: what is here, and what of it is damaged."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result
from PIL import Image

from shamisa_cli.cli import app


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


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
