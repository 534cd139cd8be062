"""A small model that sees photos whole, taught to explain its scores."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from explaining_models import whole_model
from PIL import Image

from shamisa_cli.cli import app


@pytest.fixture(scope="session")
def good_photos(tmp_path_factory: pytest.TempPathFactory, sample_photos) -> Path:
    """A folder of 20 crops of the two samples."""
    folder = tmp_path_factory.mktemp("good")
    for number in range(20):
        left, top = 20 * number % 400, 13 * number % 250
        crop = sample_photos[number % 2].crop((left, top, left + 200, top + 150))
        crop.resize((96, 72), Image.Resampling.LANCZOS).save(folder / f"p{number:02}.png")
    return folder


@pytest.fixture(scope="session")
def taught(tmp_path_factory: pytest.TempPathFactory, good_photos: Path) -> tuple[Path, Result]:
    """The model folder after ``shamisa fit-explain``, and what that printed."""
    folder = whole_model(tmp_path_factory.mktemp("explain") / "whole")
    arguments = ["fit-explain", str(good_photos), "--model", str(folder), "--workers", "0"]
    return folder, CliRunner().invoke(app, arguments)
