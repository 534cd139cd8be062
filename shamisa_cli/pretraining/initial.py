"""The encoder that pre-training starts from: random, ImageNet's, or another model's."""

from __future__ import annotations

from shamisa_cli.encoders.backbones import create_backbone
from shamisa_cli.encoders.encoder import Encoder
from shamisa_cli.encoders.names import CONFIG_FILE, locate_model
from shamisa_cli.encoders.pretrained import imagenet_folder, load_pretrained, timm_architecture
from shamisa_cli.encoders.store import load_encoder
from shamisa_cli.errors import UsageError
from shamisa_cli.pretraining.config import PretrainConfig


def initial_encoder(config: PretrainConfig) -> Encoder:
    """The encoder that ``config.init`` names; random weights are drawn from torch's generator.

    Only ``imagenet`` asks the network, and only for what the Hub's cache has not.

    Raises
    ------
    WeightsError
        if there is no such model, or its weights cannot be had.
    UsageError
        if it has another backbone.
    """
    if config.init == "random":
        return Encoder(create_backbone(config.backbone))
    if config.init == "imagenet":
        return load_pretrained(imagenet_folder(config.backbone, fetch=True), config.backbone)
    folder = locate_model(config.init)
    if timm_architecture(folder / CONFIG_FILE) is not None:
        return load_pretrained(folder, config.backbone)
    encoder, model_config = load_encoder(folder)
    if model_config.backbone != config.backbone:
        raise UsageError(
            f"init: {config.init} is a {model_config.backbone}, not a {config.backbone}; "
            f"say --backbone {model_config.backbone}"
        )
    return encoder
