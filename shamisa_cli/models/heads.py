"""Heads on disk: ``<model folder>/heads/<name>.safetensors`` and ``<name>.json`` beside it."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import torch
from safetensors.torch import save

from shamisa_cli.errors import UsageError, WeightsError, unknown_name
from shamisa_cli.hub.names import cache_folder
from shamisa_cli.models.config import ModelConfig, load_stored
from shamisa_cli.models.head import Head, HeadInfo
from shamisa_cli.models.store import encoder_digest
from shamisa_cli.models.weights import read_tensors, write_files
from shamisa_cli.settings import read_json_object, to_mapping

HEADS_FOLDER = "heads"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def list_heads(model_folder: Path) -> list[str]:
    """Names of the heads of a model folder, sorted."""
    return sorted(p.stem for p in (model_folder / HEADS_FOLDER).glob("*.json"))


def save_head(model_folder: Path, head: Head) -> Path:
    """Write ``head`` under its own name; returns the json's path.

    Weights are float32, the bias is float64, and what only tells the uncertainty is float16.

    An older head of that name is replaced, or stays as it was if a WeightsError says that the new
    one cannot be written.
    """
    check_own_folder(model_folder)
    tensors_path, info_path = _paths(model_folder, check_head_name(head.info.name))
    tensors = {
        "weight": head.weight.detach().cpu().to(torch.float32).contiguous(),
        "bias": torch.tensor(head.bias, dtype=torch.float64),
    }
    if head.spread is not None:
        tensors["spread"] = head.spread.detach().cpu().half().contiguous()
    info = json.dumps(to_mapping(head.info), indent=2, allow_nan=False) + "\n"
    write_files({tensors_path: save(tensors), info_path: info.encode()})
    return info_path


def check_own_folder(model_folder: Path) -> None:
    """Refuse a folder where no head can be kept.

    That is one that cannot be written to, and one of the Hub's cache: its files are links to
    content that others share.
    """
    if cache_folder().resolve() in model_folder.resolve().parents:
        raise WeightsError(
            f"{model_folder} is in the Hub's cache, where only shamisa pull writes: copy it, with "
            f"cp -rL {model_folder} my-model, and use my-model"
        )
    if model_folder.is_dir() and not os.access(model_folder, os.W_OK):
        raise WeightsError(
            f"{model_folder}: cannot be written (permission denied); copy the model folder to a "
            "place of your own, and use that"
        )


def load_head(model_folder: Path, name: str) -> Head:
    """The head called ``name`` of a model folder.

    Raises
    ------
    UnknownNameError
        if there is none of that name, with near matches.
    WeightsError
        if its files are damaged, or do not fit each other.
    """
    known = list_heads(model_folder)
    if name not in known:
        hint = f"Heads of this model are in {model_folder / HEADS_FOLDER}"
        hint += "." if known else ", which holds none; fit one with: shamisa fit"
        raise unknown_name("head", name, known, hint)
    tensors_path, info_path = _paths(model_folder, name)
    info = load_stored(HeadInfo, read_json_object(info_path, "head"), str(info_path))
    tensors = read_tensors(tensors_path)
    spread = tensors.pop("spread", None)
    if set(tensors) != {"weight", "bias"} or tensors["bias"].ndim != 0:
        raise WeightsError(f"{tensors_path}: expected the tensors weight (F,) and bias ()")
    weight, bias = tensors["weight"].to(torch.float32), float(tensors["bias"])
    try:
        return Head(weight, bias, info, None if spread is None else spread.to(torch.float32))
    except ValueError as error:
        raise WeightsError(f"{tensors_path}: does not fit {info_path.name}: {error}") from error


def choose_head(folder: Path, name: str | None, config: ModelConfig) -> Head:
    """The head ``name`` of a model that was loaded, or its default; see :func:`load_head`.

    A WeightsError too if it is a head of another encoder: the model was trained on since, or its
    pooling or statistics are others now.
    """
    head = load_head(folder, name or _default_head(folder, config.default_head))
    which = f"head {head.info.name!r} of {folder}"
    features = config.feature_size * len(config.protocol.scales)
    if head.info.features != features:
        raise WeightsError(
            f"{which} takes {head.info.features} features, the model gives {features}; fit it "
            "again with: shamisa fit"
        )
    if head.info.encoder and head.info.encoder != encoder_digest(folder, config):
        raise WeightsError(
            f"{which} was fitted before the model's weights, or how features are made of them, "
            "changed; fit it again with: shamisa fit"
        )
    return head


def check_head_name(name: str) -> str:
    """``name`` if it can be a file name on every system; otherwise a UsageError."""
    if not _NAME.fullmatch(name):
        raise UsageError(f"head name {name!r}: use letters, digits, '-', '_' and '.' only")
    return name


def _paths(model_folder: Path, name: str) -> tuple[Path, Path]:
    folder = model_folder / HEADS_FOLDER
    return folder / f"{name}.safetensors", folder / f"{name}.json"


def _default_head(folder: Path, named: str) -> str:
    """The head that the model names, or its only one."""
    heads = list_heads(folder)
    if named or len(heads) == 1:
        return named or heads[0]
    if not heads:
        raise WeightsError(f"{folder}: this model has no head yet; fit one with: shamisa fit")
    raise WeightsError(
        f"{folder}: several heads, and none is the default; choose one head of: {', '.join(heads)}"
    )
