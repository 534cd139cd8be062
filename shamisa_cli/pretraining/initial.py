"""The encoder that pre-training starts from, or goes on with: weights, or their shapes alone."""

from __future__ import annotations

from typing import Any

from shamisa_cli.encoders.backbones import create_backbone
from shamisa_cli.encoders.config import Preprocessing
from shamisa_cli.encoders.encoder import Encoder
from shamisa_cli.errors import UsageError
from shamisa_cli.models.names import CONFIG_FILE, locate_model
from shamisa_cli.models.pretrained import imagenet_folder, load_pretrained, timm_architecture
from shamisa_cli.models.store import load_encoder
from shamisa_cli.pretraining.config import PretrainConfig
from shamisa_cli.settings import from_mapping, to_mapping


def initial_encoder(config: PretrainConfig) -> Encoder:
    """The encoder that ``config.init`` names; random weights are drawn from torch's generator.

    Of a model it takes the backbone and its preprocessing: training sees the last stage only,
    however the model itself reads its features. Only ``imagenet`` asks the network, and only for
    what the Hub's cache has not.

    Raises
    ------
    WeightsError
        if there is no such model, or its weights cannot be had.
    UsageError
        if it has another backbone.
    """
    named = _named_encoder(config)
    return Encoder(named.backbone, named.preprocessing)


def encoder_facts(encoder: Encoder) -> dict[str, Any]:
    """What of an encoder in training its weights do not say, for a checkpoint."""
    return {
        "preprocessing": to_mapping(encoder.preprocessing),
        "pooling": encoder.pooling,
        "statistics": encoder.statistics,
    }


def resumed_encoder(config: PretrainConfig, facts: dict[str, Any] | None) -> Encoder:
    """The encoder of a resumed run, whose weights the checkpoint will replace.

    Parameters
    ----------
    config : with the ``init`` that the run began with.
    facts : :func:`encoder_facts` in the checkpoint; None in an old one, made when training saw all
        that the initial model's features were made of, so that this model is needed again.

    Raises
    ------
    WeightsError, UsageError
        without ``facts``, as :func:`initial_encoder`.
    """
    if facts is None:
        return _named_encoder(config)
    preprocessing = from_mapping(Preprocessing, facts["preprocessing"], "the checkpoint")
    return Encoder.from_name(config.backbone, preprocessing, facts["pooling"], facts["statistics"])


def _named_encoder(config: PretrainConfig) -> Encoder:
    """The encoder that ``config.init`` names, as it reads features itself."""
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
