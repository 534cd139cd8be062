"""A smaller learning rate for late layers: each layer moves at its share, resumed runs too."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from shamisa_cli.encoders.encoder import Encoder, rates_by_layer
from shamisa_cli.imaging.pool import PhotoPool
from shamisa_cli.models.config import ModelConfig
from shamisa_cli.models.store import load_encoder, save_encoder
from shamisa_cli.pretraining.presets import resolve
from shamisa_cli.pretraining.run import pretrain_to
from shamisa_cli.pretraining.start import start_of
from shamisa_cli.training.checkpoint import checkpoints, load_checkpoint

BACKBONE = "test_resnet"


@pytest.fixture
def folders(tmp_path: Path, sample_photos: list[Image.Image]) -> Path:
    """A folder with photos, and a model to start from."""
    (tmp_path / "photos").mkdir()
    for n in range(4):
        photo = sample_photos[n % 2].crop((40 * n, 0, 40 * n + 96, 96))
        photo.save(tmp_path / "photos" / f"{n}.png")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = Encoder.from_name(BACKBONE)
    save_encoder(tmp_path / "start", encoder, ModelConfig("start", BACKBONE, encoder.feature_size))
    return tmp_path


def moved(folders: Path, name: str, late_rate: float, *steps: int) -> dict[str, torch.Tensor]:
    """By how much each weight moves in a run of so many steps, resumed at each number but one."""
    options = {
        "backbone": BACKBONE,
        "init": str(folders / "start"),
        "crop": "32",
        "batch_norm": "frozen",
        "late_rate": late_rate,
        "batch": {"tiny_batches": 2, "references": 1, "groups": 1, "levels": 2},
        "optimizer": {"lr": 0.01},
        "projector": {"hidden": 16, "out": 8},
        "graphs": {"sources": {"paired_view": {}}},
        "workers": 0,
    }
    for number, count in enumerate(steps):
        config = resolve("shamisa", None, {**options, "steps": count})
        begun = start_of(config, folders / name, resume=number > 0)
        pretrain_to(
            folders / name, begun, PhotoPool(folders / "photos"), lambda _: None, lambda _: None
        )
    before = load_encoder(folders / "start")[0].backbone
    after = load_checkpoint(checkpoints(folders / name / "checkpoints")[-1]).model
    return {
        name: after[f"encoder.backbone.{name}"] - start.detach()
        for name, start in before.named_parameters()
    }


def test_each_layer_moves_at_its_share_of_the_rate(folders: Path) -> None:
    """The first step of SGD is the rate times the gradient; the control has one rate for all."""
    control, late = moved(folders, "control", 1.0, 1), moved(folders, "late", 0.01, 1)
    shares = rates_by_layer(Encoder.from_name(BACKBONE).backbone, 0.01)
    assert min(shares.values()) == pytest.approx(0.01)
    for name, share in shares.items():
        # a weight of 1 moves by a multiple of 6e-8
        torch.testing.assert_close(late[name], share * control[name], rtol=1e-3, atol=2e-7)
    moving = {name.split(".")[0] for name, change in late.items() if change.abs().max() > 1e-5}
    assert moving == {"conv1", "bn1", "layer1", "layer2", "layer3", "layer4"}


def test_a_resumed_run_keeps_the_shares(folders: Path) -> None:
    whole, resumed = moved(folders, "whole", 0.1, 4), moved(folders, "resumed", 0.1, 2, 4)
    assert all(change.equal(resumed[name]) for name, change in whole.items())
    assert whole["conv1.0.weight"].abs().max() > 0
