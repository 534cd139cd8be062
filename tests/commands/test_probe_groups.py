"""`shamisa probe --by-distortion`, and on severity ladders."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import Result
from PIL import Image

from shamisa_cli.files import is_ours
from shamisa_cli.ladders.ladder import Ladders

Run = Callable[..., Result]


@pytest.fixture
def kadid10k(scores: Path, tmp_path: Path) -> Path:
    """A root with KADID-10k's layout: of ten references two blurred copies, and one JPEG."""
    images = tmp_path / "iqa" / "kadid10k" / "images"
    images.mkdir(parents=True)
    lines = ["dist_img,ref_img,dmos,var"]
    for i in range(10):
        shutil.copy(scores.parent / f"r{i}.png", images / f"I{i:02}.png")
        for level, name in enumerate(("01_01", "01_02", "10_05")):
            shutil.copy(scores.parent / f"{i}-{level}.png", images / f"I{i:02}_{name}.png")
            lines.append(f"I{i:02}_{name}.png,I{i:02}.png,{4.5 - level - i / 20},0.1")
    (images.parent / "dmos.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "iqa"


def test_a_table_and_a_picture_by_distortion(probe: Run, kadid10k: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="plots are drawn by matplotlib")
    out = {ending: tmp_path / f"out.{ending}" for ending in ("csv", "json", "md", "png")}
    files = ["--csv", out["csv"], "--json", out["json"], "--markdown", out["md"]]
    arguments = ["--dataset", "kadid10k", "--root", kadid10k, "--splits", 3]
    plain = probe(*arguments)
    result = probe(*arguments, "--by-distortion", *files, "--distortion-plot", out["png"])
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(plain.stdout)

    groups = json.loads(out["json"].read_text())["groups"]
    facts = [(each["by"], each["name"], each["images"], each["splits"]) for each in groups]
    assert facts == [
        ("distortion", "Gaussian blur", 20, 3),
        ("distortion", "JPEG", 10, 0),  # two in each test part
        ("severity", "1", 10, 0),
        ("severity", "2", 10, 0),
        ("severity", "5", 10, 0),
    ]
    blur, jpeg = groups[:2]
    assert -1 <= blur["measures"]["srcc"]["median"] <= 1
    assert jpeg["measures"]["srcc"]["median"] is None
    assert jpeg["note"] == "under 3 images in 3 test parts"
    table = result.stdout[len(plain.stdout) :]
    assert "Gaussian blur" in table
    assert "under 3 images in 3 test parts" in table
    assert "| Gaussian blur |" in out["md"].read_text()
    lines = [line for line in csv.DictReader(out["csv"].open()) if line["note"]]
    assert lines[0]["note"] == "distortion Gaussian blur"
    assert float(lines[0]["median"]) == blur["measures"]["srcc"]["median"]
    with Image.open(out["png"]) as picture:
        assert min(picture.size) > 200
    assert is_ours(out["png"])
    again = probe(*arguments, "--distortion-plot", out["png"])
    assert again.exit_code == 2
    assert "replace it with --overwrite" in again.stderr


def fake_ladders(frozen: Any, photos: list[Path], skip: Any, *, seed: int) -> Ladders:
    """Features that know the severity of a blur, and of nothing else."""
    names = ("gaussian_blur", "white_noise", "jpeg")
    generator = torch.Generator().manual_seed(seed)
    n = len(photos) * len(names)
    features = torch.randn(n, 5, 4, generator=generator)
    features[::3, :, 0] = torch.linspace(10, 0, 5)
    damage = torch.linspace(0, 0.5, 5).expand(n, 5) + 0.01 * torch.arange(n)[:, None]
    return Ladders(features, damage, names * len(photos), tuple(p for p in photos for _ in names))


@pytest.mark.parametrize("label", ["severity", "mdsi"])
def test_ladders_by_distortion(
    probe: Run,
    ladder_photos: Path,
    tmp_path: Path,
    label: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("shamisa_cli.ladders.probe.extract_ladders", fake_ladders)
    out = tmp_path / "out.json"
    asked = ["--dataset", "ladder", "--photos", ladder_photos, "--ladder-label", label]
    result = probe(*asked, "--splits", 2, "--by-distortion", "--json", out)
    assert result.exit_code == 0, result.output
    made = json.loads(out.read_text())
    (row,) = made["rows"]
    assert (row["tested_on"], row["images"], row["note"]) == ("ladder", 90, f"labels: {label}")
    groups = {each["name"]: each for each in made["groups"]}
    assert groups["gaussian_blur"]["measures"]["srcc"]["median"] > 0.9
    assert abs(groups["white_noise"]["measures"]["srcc"]["median"]) < 0.9
    levels = [groups[name] for name in groups if groups[name]["by"] == "severity"]
    assert len(levels) == (0 if label == "severity" else 5)
    assert all(each["splits"] == 2 for each in levels)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dataset", "{csv}", "--by-distortion"], "mine: its images have no known distortions"),
        (["--dataset", "ladder"], "--dataset ladder and --photos"),
        (["--dataset", "{csv}", "--photos", "{photos}"], "--dataset ladder and --photos"),
        (["--dataset", "ladder", "--photos", "{photos}", "--fr"], "--fr is for datasets with"),
        (["--dataset", "ladder", "--photos", "{photos}", "--plot", "x.png"], "--plot x.png shows"),
        (["--dataset", "ladder", "--photos", "{empty}"], "0 photos; ladders need at least 5"),
        (["--dataset", "{csv}", "--distortion-plot", "x.xyz"], "x.xyz: its ending names no"),
        (["--dataset", "{csv}", "--plot", "x.png", "--distortion-plot", "x.png"], "two files"),
    ],
)
def test_usage_errors(
    probe: Run,
    scores: Path,
    ladder_photos: Path,
    tmp_path: Path,
    arguments: list[str],
    message: str,
) -> None:
    (tmp_path / "empty").mkdir()
    names = {"csv": scores, "photos": ladder_photos, "empty": tmp_path / "empty"}
    result = probe(*(each.format(**names) for each in arguments))
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())
    assert "Traceback" not in result.output
