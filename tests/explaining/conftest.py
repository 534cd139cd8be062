"""A small model that sees photos whole, taught to explain its scores."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image

from shamisa_cli.cli import app
from shamisa_cli.encoders.config import ViewingProtocol
from shamisa_cli.encoders.encoder import Encoder
from shamisa_cli.models.config import ModelConfig
from shamisa_cli.models.head import Head, HeadInfo
from shamisa_cli.models.heads import save_head
from shamisa_cli.models.store import save_encoder

BACKBONE = "mobilenetv4_conv_small_035"


def whole_model(folder: Path) -> Path:
    """A model folder with random weights, pooling regions, and two heads."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        encoder = Encoder.from_name(BACKBONE, None, "regions").eval()
    protocol = ViewingProtocol(short_side=64, crop=64, crops="whole", scales=(1.0,))
    size = encoder.feature_size
    config = ModelConfig("whole", BACKBONE, size, "regions", default_head="toy", protocol=protocol)
    save_encoder(folder, encoder, config)
    draws = torch.Generator().manual_seed(4)
    for name in ("toy", "other"):
        info = HeadInfo(name, "toys", (-3.0, 3.0), True, 10, size, 1.0)
        save_head(folder, Head(torch.randn(size, generator=draws), 0.0, info))
    return folder


@pytest.fixture(scope="session")
def good_photos(tmp_path_factory: pytest.TempPathFactory, sample_photos) -> Path:
    """A folder of 24 crops of the two samples."""
    folder = tmp_path_factory.mktemp("good")
    for number in range(24):
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
