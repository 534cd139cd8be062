"""Heads on disk: ``<model folder>/heads/<name>.safetensors`` and ``<name>.json`` beside it."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from shamisa_cli.errors import UsageError, WeightsError, unknown_name
from shamisa_cli.hub.names import cache_folder
from shamisa_cli.models.head import Head, HeadInfo
from shamisa_cli.settings import from_mapping, read_json_object, to_mapping

HEADS_FOLDER = "heads"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def list_heads(model_folder: Path) -> list[str]:
    """Names of the heads of a model folder, sorted."""
    return sorted(p.stem for p in (model_folder / HEADS_FOLDER).glob("*.json"))


def save_head(model_folder: Path, head: Head) -> Path:
    """Write ``head`` under its own name; an older head of that name is replaced.

    Returns
    -------
    The path of the json; weights are float32, the bias float64.

    Raises
    ------
    UsageError
        for a name that cannot be a file name.
    WeightsError
        if the folder cannot be written.
    """
    check_own_folder(model_folder)
    tensors_path, info_path = _paths(model_folder, check_head_name(head.info.name))
    tensors = {
        "weight": head.weight.detach().cpu().to(torch.float32).contiguous(),
        "bias": torch.tensor(head.bias, dtype=torch.float64),
    }
    info = json.dumps(to_mapping(head.info), indent=2, allow_nan=False)
    try:
        info_path.parent.mkdir(parents=True, exist_ok=True)
        tensors_path.write_bytes(save(tensors))  # save_file makes files that others cannot read
        info_path.write_text(info + "\n", encoding="utf-8")
    except OSError as error:
        raise _not_writable(info_path.parent, str(error)) from error
    return info_path


def check_own_folder(model_folder: Path) -> None:
    """Refuse a folder where no head can be kept.

    Raises
    ------
    WeightsError
        for one that cannot be written to, and for one of the Hub's cache: its files are links to
        content that others share.
    """
    if cache_folder().resolve() in model_folder.resolve().parents:
        raise WeightsError(
            f"{model_folder} is of the Hub's cache, which only shamisa pull writes: copy it, with "
            f"cp -rL {model_folder} my-model, and say --model my-model"
        )
    if model_folder.is_dir() and not os.access(model_folder, os.W_OK):
        raise _not_writable(model_folder, "permission denied")


def _not_writable(folder: Path, why: str) -> WeightsError:
    return WeightsError(
        f"{folder}: cannot be written ({why}); copy the model folder to a place of your own and "
        "give it as --model"
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
        hint += "." if known else ", which holds none; make one with: shamisa fit"
        raise unknown_name("head", name, known, hint)
    tensors_path, info_path = _paths(model_folder, name)
    info = _read_info(info_path)
    try:
        tensors = load_file(tensors_path)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{tensors_path}: cannot be read as safetensors: {error}") from error
    if set(tensors) != {"weight", "bias"} or tensors["bias"].ndim != 0:
        raise WeightsError(f"{tensors_path}: expected the tensors weight (F,) and bias ()")
    try:
        return Head(tensors["weight"].to(torch.float32), float(tensors["bias"]), info)
    except ValueError as error:
        raise WeightsError(f"{tensors_path}: does not fit {info_path.name}: {error}") from error


def check_head_name(name: str) -> str:
    """``name`` if it can be a file name on every system.

    Raises
    ------
    UsageError
        otherwise.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"head name {name!r}: use letters, digits, '-', '_' and '.' only")
    return name


def _paths(model_folder: Path, name: str) -> tuple[Path, Path]:
    folder = model_folder / HEADS_FOLDER
    return folder / f"{name}.safetensors", folder / f"{name}.json"


def _read_info(path: Path) -> HeadInfo:
    try:
        return from_mapping(HeadInfo, read_json_object(path, "head"), str(path))
    except UsageError as error:
        raise WeightsError(str(error)) from error


def default_head(folder: Path, named: str) -> str:
    """The head that the model names, or its only one."""
    heads = list_heads(folder)
    if named or len(heads) == 1:
        return named or heads[0]
    if not heads:
        raise WeightsError(
            f"{folder}: this model has no head yet; fit one with: shamisa fit DATASET --name NAME"
        )
    raise WeightsError(f"{folder}: which head? Choose with --head: {', '.join(heads)}")
