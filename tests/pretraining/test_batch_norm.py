"""By what a training step normalizes: all crops, references apart, or the start's statistics."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from shamisa_cli.encoders.encoder import Encoder
from shamisa_cli.errors import UsageError
from shamisa_cli.pretraining.batches import step_metadata
from shamisa_cli.pretraining.config import PretrainConfig
from shamisa_cli.pretraining.model import PretrainModel
from shamisa_cli.pretraining.presets import resolve
from shamisa_cli.training.parallel import Ranks

BACKBONE = "test_resnet"


def config(batch_norm: Literal["batch", "apart", "frozen"]) -> PretrainConfig:
    return resolve(
        "shamisa",
        None,
        {
            "backbone": BACKBONE,
            "crop": "32",
            "batch_norm": batch_norm,
            "batch": {"tiny_batches": 2, "references": 1, "groups": 1, "levels": 2},
            "projector": {"hidden": 16, "out": 8},
            "graphs": {"sources": {"paired_view": {}}},
        },
    )


def stepped(batch_norm: Literal["batch", "apart", "frozen"]) -> tuple[PretrainModel, Tensor]:
    """A model after one forward in training mode, and the features that it made."""
    settings = config(batch_norm)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = PretrainModel(Encoder.from_name(BACKBONE), settings)
    crops = torch.rand(settings.batch.n, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    crops[: settings.batch.n_references] *= 0.2  # references of another distribution
    model.train()
    return model, model(crops, step_metadata(settings, 0), Ranks()).h


def statistics(model: nn.Module) -> dict[str, Tensor]:
    return {name: b for name, b in model.named_buffers() if "running" in name}


def fresh() -> PretrainModel:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return PretrainModel(Encoder.from_name(BACKBONE), config("batch"))


def test_frozen_keeps_the_statistics_and_uses_them() -> None:
    model, h = stepped("frozen")
    start = statistics(fresh())
    assert start
    for name, value in statistics(model).items():
        assert torch.equal(value, start[name]), name
    assert model.training
    model.eval()
    crops = torch.rand(12, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    crops[:4] *= 0.2
    torch.testing.assert_close(model.encoder(crops), h)
    h.sum().backward()
    scales = [m.weight.grad for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    assert any(grad is not None and bool((grad != 0).any()) for grad in scales)


def test_batch_normalizes_by_the_step_and_moves_the_statistics() -> None:
    moved, start = statistics(stepped("batch")[0]), statistics(fresh())
    assert all(not torch.equal(value, start[name]) for name, value in moved.items())


def test_apart_is_two_forwards_one_of_references_and_one_of_the_rest() -> None:
    model, h = stepped("apart")
    twin = fresh().train()
    crops = torch.rand(12, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    crops[:4] *= 0.2
    torch.testing.assert_close(twin.encoder(crops[:4]), h[:4])
    torch.testing.assert_close(twin.encoder(crops[4:]), h[4:])
    assert not torch.allclose(fresh().train().encoder(crops), h, atol=1e-3)
    for name, value in statistics(model).items():
        torch.testing.assert_close(value, statistics(twin)[name])


def test_other_words_are_refused() -> None:
    with pytest.raises(UsageError, match="batch_norm"):
        resolve("shamisa", None, {"batch_norm": "frosen"})
