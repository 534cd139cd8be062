"""Photos for the tests: scikit-learn's two samples, and the project's shared data where present."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image
from sklearn.datasets import load_sample_image


@pytest.fixture(scope="session")
def sample_photos() -> list[Image.Image]:
    """scikit-learn's china.jpg and flower.jpg (640×427)."""
    return [Image.fromarray(load_sample_image(name)) for name in ("china.jpg", "flower.jpg")]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with photos/ and clive/; tests that need it are skipped where it is absent."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("SHAMISA_DATA", beside))
    if not (folder / "clive" / "clive.csv").is_file():
        pytest.skip(f"no real photos: {folder} has no clive/clive.csv (set SHAMISA_DATA)")
    return folder
