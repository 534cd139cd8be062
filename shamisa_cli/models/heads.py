"""Heads on disk: ``<model folder>/heads/<name>.safetensors`` and ``<name>.json`` beside it.

Heads that a person fits for a bundled model are in a folder of the person's, which a reinstall of
the program does not touch.
"""

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
from shamisa_cli.models.names import is_bundled, user_folder
from shamisa_cli.models.store import encoder_digest
from shamisa_cli.models.weights import read_tensors, write_files
from shamisa_cli.settings import read_json_object, to_mapping

HEADS_FOLDER = "heads"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def list_heads(model_folder: Path) -> list[str]:
    """Names of the heads of a model: those in its folder and those of the user, sorted."""
    return sorted({*_names_in(model_folder / HEADS_FOLDER), *list_user_heads(model_folder)})


def list_user_heads(model_folder: Path) -> list[str]:
    """Names of the heads that a person has for a bundled model, sorted; else none."""
    own = _names_in(model_folder / HEADS_FOLDER)
    return [name for name in _names_in(heads_folder(model_folder)) if name not in own]


def heads_folder(model_folder: Path) -> Path:
    """Where new heads of a model are kept: in its folder, or the user's for a bundled model."""
    if is_bundled(model_folder):
        return user_folder() / HEADS_FOLDER / model_folder.name
    return model_folder / HEADS_FOLDER


def save_head(model_folder: Path, head: Head, *, overwrite: bool = False) -> Path:
    """Write ``head`` under its own name into :func:`heads_folder`; returns the json's path.

    Weights are float32, the bias is float64, and what only tells the uncertainty is float16.

    With ``overwrite``, an older head of that name is replaced, or stays as it was if a WeightsError
    says that the new one cannot be written.
    """
    check_new_head(model_folder, head.info.name, overwrite=overwrite)
    tensors_path, info_path = _files_in(heads_folder(model_folder), head.info.name)
    tensors = {
        "weight": head.weight.detach().cpu().to(torch.float32).contiguous(),
        "bias": torch.tensor(head.bias, dtype=torch.float64),
    }
    if head.spread is not None:
        tensors["spread"] = head.spread.detach().cpu().half().contiguous()
    info = json.dumps(to_mapping(head.info), indent=2, allow_nan=False) + "\n"
    write_files({tensors_path: save(tensors), info_path: info.encode()})
    return info_path


def check_new_head(model_folder: Path, name: str, *, overwrite: bool = False) -> None:
    """Refuse a head that could not be kept, or would take the place of another.

    It cannot be kept in a model folder that cannot be written to, nor in the Hub's cache: its files
    are links to content that others share. Heads that come with a bundled model are not replaced.

    Raises
    ------
    UsageError
        if ``name`` can be no file name, or is taken and ``overwrite`` is not given.
    WeightsError
        if no head can be kept there.
    """
    check_head_name(name)
    if is_bundled(model_folder) and name in _names_in(model_folder / HEADS_FOLDER):
        raise UsageError(f"head {name!r} comes with {model_folder.name}; choose another name")
    if not is_bundled(model_folder):
        _check_own_folder(model_folder)
    if name in _names_in(heads_folder(model_folder)) and not overwrite:
        raise UsageError(
            f"{heads_folder(model_folder) / name}.json: head {name!r} is there already; replace it "
            "with overwrite, or choose another name"
        )


def _check_own_folder(model_folder: Path) -> None:
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
        hint = f"Heads of this model are in {heads_folder(model_folder)}"
        if is_bundled(model_folder) and known:
            hint += f" and {model_folder / HEADS_FOLDER}"
        hint += "." if known else ", which holds none; fit one with: shamisa fit"
        raise unknown_name("head", name, known, hint)
    tensors_path, info_path = find_head(model_folder, name)
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
    of_any = not head.info.encoder and head.info.name not in list_user_heads(folder)
    if not of_any and head.info.encoder != encoder_digest(folder, config):
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


def find_head(model_folder: Path, name: str) -> tuple[Path, Path]:
    """The files of a head that there is: tensors, and what is known of it."""
    of_user = name in list_user_heads(model_folder)
    folder = heads_folder(model_folder) if of_user else model_folder / HEADS_FOLDER
    return _files_in(folder, name)


def _files_in(folder: Path, name: str) -> tuple[Path, Path]:
    return folder / f"{name}.safetensors", folder / f"{name}.json"


def _names_in(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.json"))


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
