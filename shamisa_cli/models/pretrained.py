"""Backbones with timm's own weights, from timm's repositories on the Hub; safetensors only."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from shamisa_cli.encoders.backbones import check_backbone, create_backbone
from shamisa_cli.encoders.config import Preprocessing
from shamisa_cli.encoders.encoder import Encoder
from shamisa_cli.errors import HubError, UsageError, WeightsError
from shamisa_cli.hub.fetch import fetch_model
from shamisa_cli.hub.names import HubName, cached_file, parse_hub_name
from shamisa_cli.models.config import load_stored
from shamisa_cli.models.names import CONFIG_FILE
from shamisa_cli.models.weights import WEIGHTS_FILE, read_weights
from shamisa_cli.settings import read_json_object


def imagenet_folder(backbone: str, *, fetch: bool) -> Path:
    """The folder of timm's default weights for ``backbone``, in the Hub's cache.

    ``fetch`` says whether the network may be asked for what the cache has not. A WeightsError says
    what to do if they are not to be had.
    """
    name = imagenet_name(backbone)
    found = cached_file(name, WEIGHTS_FILE)  # timm itself fetches nothing else
    if found is not None:
        return found.parent
    if not fetch:
        raise WeightsError(
            f"the ImageNet weights of {backbone} are not on this machine; where there is a "
            f"network, run: shamisa pull {name}"
        )
    try:
        return fetch_model(name, timm_architecture)
    except HubError as error:
        raise WeightsError(
            f"ImageNet weights of {backbone} cannot be had: {error}. Use init random, or run "
            f"where there is a network: shamisa pull {name}, and copy the Hub's cache here"
        ) from error


def imagenet_name(backbone: str) -> HubName:
    """The repository of timm's default weights for ``backbone``."""
    import timm

    facts = timm.get_pretrained_cfg(check_backbone(backbone))
    name = parse_hub_name(facts.hf_hub_id or "") if facts is not None else None
    if name is None:
        raise WeightsError(f"timm publishes no weights for {backbone}; use init random")
    return name


def timm_architecture(config_file: Path) -> str | None:
    """The architecture that a timm repository's config.json names; None if it is not timm's."""
    architecture = read_json_object(config_file, CONFIG_FILE).get("architecture")
    if not isinstance(architecture, str | None):
        raise WeightsError(f"{config_file}: architecture: expected a name, got {architecture!r}")
    return architecture


def load_pretrained(folder: Path, backbone: str) -> Encoder:
    """The encoder of a timm repository: its backbone without classifier, and its normalization.

    Raises
    ------
    UnknownNameError
        if timm does not know ``backbone``.
    UsageError
        if it is another backbone than ``backbone``.
    WeightsError
        if its files are damaged, lack tensors, or ask for what we cannot store.
    """
    check_backbone(backbone)  # timm itself would follow hf-hub: and local-dir: names elsewhere
    config = _facts(folder, backbone)
    architecture = config.get("architecture")
    if architecture != backbone:
        raise UsageError(
            f"{folder} is a {architecture}, not a {backbone}; set backbone to {architecture}"
        )
    if config.get("model_args"):
        raise WeightsError(
            f"{folder}: a variant of {backbone} with other model_args; not supported"
        )
    facts = config.get("pretrained_cfg", {})
    where = f"{folder / CONFIG_FILE}: pretrained_cfg"
    if not isinstance(facts, dict):
        raise WeightsError(f"{where}: expected a JSON object")
    # the normalization that the weights were trained with; ImageNet's if they do not say
    known = {key: facts[key] for key in ("mean", "std") if key in facts}
    preprocessing = load_stored(Preprocessing, known, where)
    classes = {"num_classes": 1000, **facts, **config}["num_classes"]
    try:
        with torch.random.fork_rng(devices=[]):  # timm draws weights, which are then replaced
            return Encoder(_headless(backbone, read_weights(folder), classes), preprocessing)
    except (RuntimeError, KeyError, ValueError, TypeError) as error:
        why = textwrap.shorten(str(error), 300)  # it may list every tensor
        raise WeightsError(f"{folder}: does not fit backbone {backbone}: {why}") from error


def _headless(backbone: str, tensors: dict[str, Tensor], classes: int) -> nn.Module:
    """The backbone without classifier from the ``tensors`` of a whole one with ``classes`` classes.

    timm loads leniently, and leaves at random what is missing, when it is to drop the classifier;
    so it makes the whole model, strictly, of which all but the classifier is taken.
    """
    import timm

    here_only = {"file": None, "url": "", "hf_hub_id": None, "custom_load": False}
    whole = timm.create_model(
        backbone,
        pretrained=True,
        num_classes=classes,
        pretrained_cfg_overlay={"state_dict": tensors, "num_classes": classes, **here_only},
    ).state_dict()
    model = create_backbone(backbone)
    model.load_state_dict({key: whole[key] for key in model.state_dict()})
    return model


def _facts(folder: Path, backbone: str) -> dict[str, Any]:
    """config.json, or where timm fetched the weights alone what it knows of its default ones."""
    import timm

    path = folder / CONFIG_FILE
    known = timm.get_pretrained_cfg(backbone)
    if not path.is_file() and known is not None:
        return {"architecture": backbone, "pretrained_cfg": known.to_dict()}
    return read_json_object(path, CONFIG_FILE)
