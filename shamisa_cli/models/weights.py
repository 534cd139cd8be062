"""Tensors of a model folder: safetensors, in shards if large, with a digest that is checked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from shamisa_cli.errors import WeightsError

WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
DIGEST_KEY = "sha256"
SHARD_SIZE = "5GB"
"""Larger models are written in shards of this size at most."""


def write_weights(
    folder: Path, tensors: Mapping[str, Tensor], shard_size: str = SHARD_SIZE
) -> None:
    """Write ``tensors``, and their digest into the metadata of the file (or of the shards' index).

    Parameters
    ----------
    folder : made if missing; weights that it holds are replaced.
    tensors : by name, on the CPU.
    shard_size : such as ``5GB``.
    """
    from huggingface_hub import save_torch_state_dict

    folder.mkdir(parents=True, exist_ok=True)
    save_torch_state_dict(
        dict(tensors),
        folder,
        max_shard_size=shard_size,
        metadata={DIGEST_KEY: weights_digest(tensors)},
    )
    mode = _usual_mode(folder)
    for path in weight_files(folder):
        path.chmod(mode)  # safetensors makes files that only their owner can read


def _usual_mode(folder: Path) -> int:
    """The permissions that new files in ``folder`` get."""
    trial = folder / f".{DIGEST_KEY}"
    trial.touch()
    try:
        return trial.stat().st_mode
    finally:
        trial.unlink()


def read_weights(folder: Path) -> dict[str, Tensor]:
    """All tensors of a model folder, by name, as they were stored.

    Weights without a digest are taken as they are: other tools write none.

    Raises
    ------
    WeightsError
        if a file is missing or damaged, or the tensors are not those that the digest was made of.
    """
    tensors: dict[str, Tensor] = {}
    for path in weight_files(folder):
        try:
            tensors |= load_file(path)
        except (OSError, SafetensorError) as error:
            raise WeightsError(f"{path}: cannot be read as safetensors: {error}") from error
    expected = _stored_digest(folder)
    if expected is not None and expected != weights_digest(tensors):
        raise WeightsError(
            f"{folder / WEIGHTS_FILE}: damaged: its tensors have not the {DIGEST_KEY} that was "
            "written with them; get the model again"
        )
    return tensors


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a model folder, one or several shards, in order of their names.

    Raises
    ------
    WeightsError
        if one is missing, or the index of the shards cannot be read.
    """
    if (folder / WEIGHTS_FILE).is_file() or not (folder / INDEX_FILE).is_file():
        files = [folder / WEIGHTS_FILE]
    else:
        files = [folder / name for name in sorted(set(_index(folder)["weight_map"].values()))]
    missing = [path.name for path in files if not path.is_file()]
    if missing:
        raise WeightsError(
            f"{folder}: {', '.join(missing)} cannot be read as safetensors: not there; if the "
            "model came from the Hub, get it again with: shamisa pull"
        )
    return files


def weights_digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 (hexadecimal) of names, types, shapes and values, in order of the names."""
    digest = hashlib.sha256()
    for name, value in sorted(tensors.items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def folder_digest(folder: Path) -> str:
    """:func:`weights_digest` of a model folder; the one that is stored there is taken as it is.

    So this is cheap, and right for a folder that :func:`read_weights` has accepted.
    """
    return _stored_digest(folder) or weights_digest(read_weights(folder))


def _stored_digest(folder: Path) -> str | None:
    """The digest that was written with the weights, if any."""
    if not (folder / WEIGHTS_FILE).is_file():
        return _index(folder).get("metadata", {}).get(DIGEST_KEY)
    with safe_open(folder / WEIGHTS_FILE, framework="pt") as file:
        return (file.metadata() or {}).get(DIGEST_KEY)


def _index(folder: Path) -> dict[str, dict[str, str]]:
    """The index of the shards: ``weight_map`` from tensor to file, and ``metadata``."""
    path = folder / INDEX_FILE
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        files = index["weight_map"].values()
        index.setdefault("metadata", {}).get(DIGEST_KEY)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(f"{path}: not a readable index of shards: {error}") from error
    if not all(isinstance(name, str) and Path(name).name == name for name in files):
        raise WeightsError(f"{path}: names files outside its folder")
    return index
