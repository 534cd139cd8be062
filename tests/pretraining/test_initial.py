"""What training takes of the model that it begins from."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from shamisa_cli.encoders.config import Preprocessing
from shamisa_cli.encoders.encoder import Encoder
from shamisa_cli.models.config import ModelConfig
from shamisa_cli.models.store import load_encoder, save_encoder
from shamisa_cli.pretraining.config import PretrainConfig, ProjectorConfig
from shamisa_cli.pretraining.model import make_model

BACKBONE = "test_resnet"
PREPROCESSING = Preprocessing(mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7))


@pytest.fixture
def rich_model(tmp_path: Path) -> Path:
    """A model folder whose features are more than the last stage."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        encoder = Encoder.from_name(BACKBONE, PREPROCESSING, "log_stages", "scene")
    config = ModelConfig(
        "rich", BACKBONE, encoder.feature_size, "log_stages", "scene", preprocessing=PREPROCESSING
    )
    save_encoder(tmp_path / "rich", encoder, config)
    return tmp_path / "rich"


def test_training_sees_the_last_stage_of_any_model(rich_model: Path) -> None:
    small = ProjectorConfig(hidden=8, out=4)
    config = PretrainConfig(backbone=BACKBONE, init=str(rich_model), projector=small)
    encoder = make_model(config).encoder
    assert (encoder.pooling, encoder.statistics) == ("last", "none")
    assert encoder.feature_size == Encoder.from_name(BACKBONE).feature_size
    assert encoder.preprocessing == PREPROCESSING
    there = load_encoder(rich_model)[0].state_dict()
    for key, value in encoder.state_dict().items():
        assert torch.equal(value, there[key]), key
