"""`shamisa ladder` from the command line."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

from click.testing import Result


def test_table_and_files(
    run: Callable[..., Result], headed: Path, ladder_photos: Path, tmp_path: Path
) -> None:
    out = {ending: tmp_path / f"out.{ending}" for ending in ("csv", "json", "md")}
    files = ["--csv", out["csv"], "--json", out["json"], "--markdown", out["md"]]
    arguments = [ladder_photos, "--sample", 6, "--per-photo", 2]
    result = run("ladder", "--model", headed, *arguments, *files)
    assert result.exit_code == 1, result.output
    assert "skipped" in result.stderr
    assert "1 photos could not be read; they are not in the figures" in result.stderr
    assert len(list(csv.DictReader(out["csv"].open()))) == 1 + 10
    assert out["md"].read_text().count("\n") == 2 + 1 + 10
    assert len(result.stdout.splitlines()) == 1 + 1 + 10
    assert result.stdout.splitlines()[1].split()[:2] == ["all", "10"]

    upward = json.loads(out["json"].read_text())["all"]
    run("ladder", "--model", headed, *arguments, *files, "--overwrite", "--head", "worse")
    downward = json.loads(out["json"].read_text())["all"]
    assert downward["tau"] == -upward["tau"] != 0


def test_too_few_photos(run: Callable[..., Result], headed: Path, tmp_path: Path) -> None:
    result = run("ladder", "--model", headed, tmp_path)
    assert result.exit_code == 2
    assert "0 photos; ladders need at least 5" in result.output
