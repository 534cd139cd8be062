"""Models on disk: a folder with config.json, model.safetensors (fp16) and heads/."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import torch
from torch import Tensor

from shamisa_cli.encoders.config import ModelConfig
from shamisa_cli.encoders.encoder import Encoder
from shamisa_cli.encoders.names import CONFIG_FILE
from shamisa_cli.encoders.pretrained import timm_architecture
from shamisa_cli.encoders.weights import (
    SHARD_SIZE,
    WEIGHTS_FILE,
    read_weights,
    weights_digest,
    write_weights,
)
from shamisa_cli.errors import WeightsError
from shamisa_cli.settings import to_mapping


def load_encoder(folder: Path) -> tuple[Encoder, ModelConfig]:
    """The encoder of a model folder, in float32 and eval mode, and its config.

    Raises
    ------
    WeightsError
        if a file is missing, is not safetensors, or does not fit the backbone.
    """
    architecture = timm_architecture(folder / CONFIG_FILE)
    if architecture is not None:
        raise WeightsError(
            f"{folder}: a timm backbone ({architecture}), which scores nothing by itself; start "
            f"from it with: shamisa pretrain --backbone {architecture} --init"
        )
    config = ModelConfig.load(folder / CONFIG_FILE)
    path = folder / WEIGHTS_FILE
    tensors = read_weights(folder)
    with torch.random.fork_rng(devices=[]):  # timm draws weights, which are then replaced
        encoder = Encoder.from_config(config)
    try:
        encoder.backbone.load_state_dict(tensors)
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise WeightsError(f"{path}: does not fit backbone {config.backbone}: {first}") from error
    if encoder.feature_size != config.feature_size:
        raise WeightsError(
            f"{folder}: config.json says {config.feature_size} features, "
            f"{config.backbone} has {encoder.feature_size}"
        )
    return encoder.eval(), config


def save_encoder(
    folder: Path, encoder: Encoder, config: ModelConfig, shard_size: str = SHARD_SIZE
) -> None:
    """Write config.json and model.safetensors; floating-point weights are stored as fp16."""
    write_weights(folder, _stored(encoder), shard_size)
    config.save(folder / CONFIG_FILE)


def encoder_digest(encoder: Encoder) -> str:
    """SHA-256 (hexadecimal) of what a head is fitted to.

    That is the weights as they are stored, and how features are made of them; two encoders of one
    digest differ in their features by the rounding to fp16 at most.
    """
    facts = [to_mapping(encoder.preprocessing), encoder.pooling, encoder.statistics]
    digest = hashlib.sha256(weights_digest(_stored(encoder)).encode())
    digest.update(json.dumps(facts, sort_keys=True).encode())
    return digest.hexdigest()


def _stored(encoder: Encoder) -> dict[str, Tensor]:
    """The weights as they are written: floating-point ones in fp16."""
    return {
        key: (value.to(torch.float16) if value.is_floating_point() else value).cpu().contiguous()
        for key, value in encoder.backbone.state_dict().items()
    }
