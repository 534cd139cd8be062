"""A tiny model, and short runs of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from torch import Tensor

from shamisa_cli.encoders.config import ViewingProtocol
from shamisa_cli.errors import PhotoError
from shamisa_cli.finetuning.config import FinetuneConfig, resolve
from shamisa_cli.models.config import ModelConfig
from shamisa_cli.training.checkpoint import checkpoints, load_checkpoint

BASE = ModelConfig("toy", "test_efficientnet", 256, protocol=ViewingProtocol(crop=64))
WHOLE = dataclasses.replace(
    BASE,
    pooling="regions",
    statistics="scene",
    protocol=ViewingProtocol(512, None, 64, "whole", (1.0,)),
)
"""It sees photos whole, and its first layers can be had apart."""


def unreadable(error: PhotoError) -> None:
    raise error


def config(**changes: object) -> FinetuneConfig:
    plain = {"epochs": 2.0, "workers": 0, "trained": 1.0, "device": "cpu", "precision": "fp32"}
    return resolve(None, {**plain, "lr": 1e-3, "checks": 2, "images": 7, **changes})


def halved(**changes: object) -> FinetuneConfig:
    """A run that trains blocks 2 to 4 of five."""
    return config(**{"trained": 0.5, **changes})


def end_of(out: Path, part: str = "") -> dict[str, Tensor]:
    """All weights, or those of a part, at the end of the run in ``out``, kept or not."""
    state = load_checkpoint(checkpoints(out / "checkpoints")[-1]).model
    return {name: values for name, values in state.items() if name.startswith(part)}
