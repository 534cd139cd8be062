"""A small model, scored photos, and the commands that measure and fit on them."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image, ImageFilter

from shamisa_cli.cli import app
from shamisa_cli.encoders.config import ViewingProtocol
from shamisa_cli.encoders.encoder import Encoder
from shamisa_cli.models.config import ModelConfig
from shamisa_cli.models.head import Head, HeadInfo
from shamisa_cli.models.heads import save_head
from shamisa_cli.models.store import save_encoder

N_PHOTOS, N_LEVELS = 10, 3

Run = Callable[..., Result]


@pytest.fixture(scope="session")
def headless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder without a head; not to be written to."""
    folder = tmp_path_factory.mktemp("model") / "tiny"
    with torch.random.fork_rng():
        torch.manual_seed(5)
        encoder = Encoder.from_name("test_resnet")
    protocol = ViewingProtocol(short_side=96, crop=64)
    config = ModelConfig(
        "tiny", "test_resnet", encoder.feature_size, default_head="mine", protocol=protocol
    )
    save_encoder(folder, encoder, config)
    return folder


@pytest.fixture(scope="session")
def headed(headless: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with the heads ``mine``, and ``worse``, which says the opposite."""
    folder = Path(shutil.copytree(headless, tmp_path_factory.mktemp("model") / "headed"))
    size = 2 * ModelConfig.load(folder / "config.json").feature_size
    for name, higher_is_better in (("mine", True), ("worse", False)):
        info = HeadInfo(name, "x", (-2, 2), higher_is_better, 9, size, 1.0)
        save_head(folder, Head(torch.linspace(-1, 1, size), 0.0, info))
    return folder


@pytest.fixture
def model(headless: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may write to."""
    return Path(shutil.copytree(headless, tmp_path / "model"))


@pytest.fixture(scope="session")
def scores(tmp_path_factory: pytest.TempPathFactory, sample_photos: list[Image.Image]) -> Path:
    """A CSV of photos blurred to three degrees, with scores that fall with the degree."""
    folder = tmp_path_factory.mktemp("scored")
    rows = [["image", "mos", "reference"]]
    for i in range(N_PHOTOS):
        place = (40 * i, 20 * i, 40 * i + 128, 20 * i + 96)
        photo = sample_photos[i % 2].crop(place)
        photo.save(folder / f"r{i}.png")
        for level in range(N_LEVELS):
            photo.filter(ImageFilter.GaussianBlur(level)).save(folder / f"{i}-{level}.png")
            rows.append([f"{i}-{level}.png", f"{80 - 25 * level + i / 10}", f"r{i}.png"])
    with (folder / "mine.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return folder / "mine.csv"


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs a command on features, which all tests share: ``run("probe", "--model", folder, …)``."""
    common = ["--quiet", "--precision", "fp32", "--features-cache"]
    common.append(str(tmp_path_factory.mktemp("features")))

    def run(command: str, *arguments: object) -> Result:
        return CliRunner().invoke(app, [command, *common, *map(str, arguments)])

    return run


@pytest.fixture(scope="session")
def probe(run: Run, headless: Path) -> Run:
    return partial(run, "probe", "--model", headless)


@pytest.fixture
def fit(run: Run, model: Path) -> Run:
    return partial(run, "fit", "--model", model)


@pytest.fixture(scope="session")
def embed(run: Run, headed: Path) -> Run:
    return partial(run, "embed", "--model", headed)


@pytest.fixture
def ladder_photos(scores: Path, tmp_path: Path) -> Path:
    """Five photos that nobody scored, and a file that is none."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(5):
        with Image.open(scores.parent / f"r{i}.png") as photo:
            photo.crop((1, 0, photo.width, photo.height)).save(folder / f"{i}.png")
    (folder / "broken.png").write_bytes(b"no picture")
    return folder
