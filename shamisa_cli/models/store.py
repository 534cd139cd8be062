"""Models on disk: a folder with config.json, model.safetensors (fp16) and heads/."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import torch

from shamisa_cli.encoders.encoder import Encoder
from shamisa_cli.errors import UsageError, WeightsError
from shamisa_cli.models.config import ModelConfig
from shamisa_cli.models.names import CONFIG_FILE
from shamisa_cli.models.pretrained import timm_architecture
from shamisa_cli.models.weights import (
    WEIGHTS_FILE,
    encode_weights,
    folder_digest,
    read_weights,
    write_files,
)
from shamisa_cli.settings import to_mapping


def load_encoder(folder: Path) -> tuple[Encoder, ModelConfig]:
    """The encoder of a model folder, in float32 and eval mode, and its config.

    Raises
    ------
    WeightsError
        if a file is missing, is not safetensors, or does not fit the backbone, or if no encoder is
        like config.json says.
    """
    architecture = timm_architecture(folder / CONFIG_FILE)
    if architecture is not None:
        raise WeightsError(
            f"{folder}: a timm backbone ({architecture}), which scores nothing by itself; it can "
            "be the init of: shamisa pretrain"
        )
    config = ModelConfig.load(folder / CONFIG_FILE)
    tensors = read_weights(folder)
    try:
        encoder = random_encoder(config)
    except UsageError as error:
        raise WeightsError(f"{folder / CONFIG_FILE}: {error}") from error
    try:
        encoder.backbone.load_state_dict(tensors)
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise WeightsError(
            f"{folder / WEIGHTS_FILE}: does not fit backbone {config.backbone}: {first}"
        ) from error
    if encoder.feature_size != config.feature_size:
        raise WeightsError(
            f"{folder}: config.json says {config.feature_size} features, "
            f"{config.backbone} has {encoder.feature_size}"
        )
    return encoder.eval(), config


def random_encoder(config: ModelConfig, seed: int = 0) -> Encoder:
    """The encoder that ``config`` describes, with random weights.

    torch draws initial weights from its global generator; it is put back as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Encoder.from_name(
            config.backbone,
            config.preprocessing,
            config.pooling,
            config.statistics,
            config.regions,
            config.ends,
        ).eval()


def save_encoder(folder: Path, encoder: Encoder, config: ModelConfig) -> None:
    """Write config.json and model.safetensors; floating-point weights are stored as fp16.

    Raises
    ------
    WeightsError
        if they cannot be written, as on a full disk; an older model is then as it was.
    """
    tensors = {
        key: (value.to(torch.float16) if value.is_floating_point() else value).cpu().contiguous()
        for key, value in encoder.backbone.state_dict().items()
    }
    files = {WEIGHTS_FILE: encode_weights(tensors), CONFIG_FILE: config.encode()}
    write_files({folder / name: content for name, content in files.items()})


def encoder_digest(folder: Path, config: ModelConfig) -> str:
    """SHA-256 (hexadecimal) of what a head is fitted to: the weights, and what is made of them.

    Cheap for a folder that was loaded, which checks its weights; see :func:`folder_digest`.
    """
    facts = [to_mapping(config.preprocessing), config.pooling, config.statistics]
    if config.pooling == "regions":
        facts.append(to_mapping(config.regions))
    digest = hashlib.sha256(folder_digest(folder).encode())
    digest.update(json.dumps(facts, sort_keys=True).encode())
    return digest.hexdigest()
