"""Self-distillation: representations stay near those of the start, which never moves."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from shamisa_cli.encoders.encoder import Encoder
from shamisa_cli.errors import UsageError
from shamisa_cli.imaging.pool import PhotoPool
from shamisa_cli.models.config import ModelConfig
from shamisa_cli.models.store import load_encoder, save_encoder
from shamisa_cli.pretraining.batches import step_metadata
from shamisa_cli.pretraining.config import PretrainConfig
from shamisa_cli.pretraining.model import PretrainLoss, PretrainModel
from shamisa_cli.pretraining.presets import resolve
from shamisa_cli.pretraining.run import pretrain_to
from shamisa_cli.pretraining.start import start_of
from shamisa_cli.training.log import read_log
from shamisa_cli.training.parallel import Ranks

BACKBONE = "test_resnet"


def config(weight: float, **more: object) -> PretrainConfig:
    """Few crops, and the statistics of batch norm as at the start, so that a start is one."""
    given = {
        "backbone": BACKBONE,
        "crop": "32",
        "batch_norm": "frozen",
        "self_distillation": weight,
        "batch": {"tiny_batches": 2, "references": 1, "groups": 1, "levels": 2},
        "projector": {"hidden": 16, "out": 8},
        "graphs": {"sources": {"paired_view": {}}},
    }
    return resolve("shamisa", None, {**given, **more})


def encoder() -> Encoder:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Encoder.from_name(BACKBONE)


def loss_of(model: PretrainModel, crops: torch.Tensor) -> PretrainLoss:
    return model.train()(crops, step_metadata(model.config, 0), Ranks())


def made(weight: float) -> PretrainModel:
    """From one start, and with one projector; the weights of the encoder moved since."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = PretrainModel(encoder(), config(weight))
        with torch.no_grad():
            for parameter in model.encoder.parameters():
                parameter.add_(0.1 * parameter.std(correction=0) * torch.randn(parameter.shape))
    return model


def test_the_term_is_the_mean_squared_distance_from_the_start() -> None:
    plain, kept = made(0.0), made(3.0)
    crops = torch.rand(plain.config.batch.n, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    without, loss = loss_of(plain, crops), loss_of(kept, crops)
    before = encoder().eval()(crops).detach()
    expected = sum(
        float((h - b) @ (h - b)) for h, b in zip(without.h.detach(), before, strict=True)
    )
    expected /= len(crops)
    assert expected > 0.01
    assert loss.terms["self_distillation"].item() == pytest.approx(expected, rel=1e-4)
    assert loss.total.item() == pytest.approx(without.total.item() + 3 * expected, rel=1e-4)
    assert kept.terms == (*plain.terms, "self_distillation")
    loss.total.backward()
    assert all(parameter.grad is None for parameter in kept.start.parameters())


def test_it_is_nothing_at_the_start() -> None:
    model = PretrainModel(encoder(), config(1.0))
    crops = torch.rand(model.config.batch.n, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    assert loss_of(model, crops).terms["self_distillation"].item() == pytest.approx(0, abs=1e-10)


def test_a_run_stays_nearer_to_its_start_and_goes_on_from_it(
    tmp_path: Path, sample_photos: list[Image.Image]
) -> None:
    """The control has no such term. The start is kept in the checkpoints."""
    photos, start = tmp_path / "photos", tmp_path / "start"
    photos.mkdir()
    for n in range(4):
        sample_photos[n % 2].crop((40 * n, 0, 40 * n + 96, 96)).save(photos / f"{n}.png")
    save_encoder(start, encoder(), ModelConfig("start", BACKBONE, encoder().feature_size))
    crops = torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(3))

    def train(name: str, weight: float, *steps: int) -> tuple[float, list[float]]:
        out = tmp_path / name
        for number, count in enumerate(steps):
            settings = config(weight, init=str(start), steps=count, workers=0)
            begun = start_of(settings, out, resume=number > 0)
            pretrain_to(out, begun, PhotoPool(photos), lambda _: None, lambda _: None)
        moved = load_encoder(out / "model")[0].eval()(crops) - encoder().eval()(crops)
        totals = [record["total"] for record in read_log(out / "log.jsonl")]
        return float(moved.detach().square().sum(1).mean()), totals

    control, _ = train("control", 0.0, 6)
    near, whole = train("near", 3.0, 6)
    assert near < 0.5 * control
    resumed, halves = train("resumed", 3.0, 3, 6)
    assert halves == whole
    assert resumed == near


def test_from_random_weights_it_is_refused() -> None:
    with pytest.raises(UsageError, match="self_distillation needs a start from trained weights"):
        config(1.0, init="random")
