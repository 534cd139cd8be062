"""``shamisa demo``: with any model it shows its work; with the bundled one, scores fall."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from shamisa_cli.cli import app
from shamisa_cli.commands.demo import (
    CROP,
    DISTORTIONS,
    LOOK,
    PHOTOS,
    SEVERITIES,
    draw_sheet,
    make_ladder,
)
from shamisa_cli.imaging.closeup import telling_box


def table(output: str) -> dict[str, list[float]]:
    """Scores by row title."""
    rows = re.findall(r"^(\w+, \w+)\s+((?:\d+\.\d\s*)+)$", output, re.MULTILINE)
    return {title: [float(score) for score in scores.split()] for title, scores in rows}


def test_a_ladder_a_table_and_a_contact_sheet(
    tiny_model: Path,
    tmp_path: Path,
    sample_photos: list[Image.Image],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("shamisa_cli.progress.EVERY", 0.0)
    rungs = make_ladder("china.jpg", "gaussian_blur")
    assert rungs[0] == sample_photos[0]
    assert len({rung.tobytes() for rung in rungs}) == len(rungs) == 1 + len(SEVERITIES)
    out = tmp_path / "made" / "here"
    result = CliRunner().invoke(app, ["demo", "--model", str(tiny_model), "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert len(table(result.stdout)) == len(PHOTOS) * len(DISTORTIONS)
    wide = [line for line in result.stdout.splitlines() if str(out) not in line and len(line) > 80]
    assert not wide
    assert "20 of 40 pictures, 50%" in result.stderr
    assert all(len(row) == 1 + len(SEVERITIES) for row in table(result.stdout).values())
    sheet = out / "contact-sheet.png"
    assert str(sheet) in result.stdout
    with Image.open(sheet) as picture:
        assert 1900 < picture.width <= 2000
        assert picture.height > 8 * CROP[1]


def test_the_sheet_has_a_part_of_every_picture_at_one_to_one() -> None:
    ladder = make_ladder("flower.jpg", "jpeg")
    sheet = draw_sheet([("flower.jpg", "jpeg")], [ladder], [[90.0, 70.0, 50.0, 30.0, 10.0]])
    box = telling_box(ladder[0], CROP)
    gap = 11
    for k, rung in enumerate(ladder):
        right = (k + 1) * (gap + LOOK)
        places = [(right - CROP[0], top, right, top + CROP[1]) for top in range(60)]
        part = rung.crop(box).tobytes()
        assert any(sheet.crop(place).tobytes() == part for place in places), k


def test_with_the_bundled_weights_scores_fall_with_severity(tmp_path: Path) -> None:
    """Even where the sheet cannot be written, the table is there."""
    (tmp_path / "file").touch()
    out = tmp_path / "file" / "under"
    result = CliRunner().invoke(app, ["demo", "--out", str(out), "--device", "cpu"])
    assert result.exit_code == 2
    assert "choose another --out" in result.stderr
    bundled = table(result.stdout)
    for title, scores in bundled.items():
        assert scores[-1] < scores[0] - 5, title
    means = [sum(column) / len(bundled) for column in zip(*bundled.values(), strict=True)]
    assert means == sorted(means, reverse=True)
    steps = [a > b for row in bundled.values() for a, b in pairwise(row)]
    assert sum(steps) / len(steps) >= 0.85
