"""A tiny model, and short runs of it."""

from __future__ import annotations

from shamisa_cli.encoders.config import ViewingProtocol
from shamisa_cli.errors import PhotoError
from shamisa_cli.finetuning.config import FinetuneConfig, resolve
from shamisa_cli.models.config import ModelConfig

BASE = ModelConfig("toy", "test_efficientnet", 256, protocol=ViewingProtocol(crop=64))


def unreadable(error: PhotoError) -> None:
    raise error


def config(**changes: object) -> FinetuneConfig:
    plain = {"epochs": 2.0, "workers": 0, "trained": 1.0, "device": "cpu", "precision": "fp32"}
    return resolve(None, {**plain, "lr": 1e-3, "checks": 2, "images": 7, **changes})
