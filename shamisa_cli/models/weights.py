"""Tensors of a model folder: one safetensors file, with a digest that every reader checks."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from shamisa_cli.errors import WeightsError, system_reason

WEIGHTS_FILE = "model.safetensors"
DIGEST_KEY = "sha256"


def write_files(contents: Mapping[Path, bytes]) -> None:
    """Write files that belong together; none replaces an older one before all are on the disk.

    Raises
    ------
    WeightsError
        if one cannot be written, as on a full disk; then every older file is as it was.
    """
    parts = {path.with_name(f".{path.name}.part"): path for path in contents}
    try:
        for part, path in parts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(contents[path])
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        for part, path in parts.items():
            part.replace(path)
    except OSError as error:
        raise WeightsError(
            f"{path}: cannot be written ({system_reason(error)}); nothing was replaced. Make room "
            "on the disk, or choose a folder of your own: copy the model folder there and use that"
        ) from error
    finally:
        for part in parts:
            with suppress(OSError):
                part.unlink()


def encode_weights(tensors: Mapping[str, Tensor]) -> bytes:
    """The weights file of ``tensors`` (on the CPU), with their digest in its metadata."""
    return save(dict(tensors), {"format": "pt", DIGEST_KEY: weights_digest(tensors)})


def read_weights(folder: Path) -> dict[str, Tensor]:
    """All tensors of a model folder, by name, as they were stored.

    Weights without a digest are taken as they are: other tools write none. A WeightsError if the
    file is missing or damaged, or the tensors are not those that the digest is of.
    """
    path = folder / WEIGHTS_FILE
    tensors = read_tensors(path)
    expected = _stored_digest(path)
    if expected is not None and expected != weights_digest(tensors):
        raise WeightsError(
            f"{path}: damaged: its tensors have not the {DIGEST_KEY} that was written with them; "
            "get the model again"
        )
    return tensors


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file; a WeightsError if it is missing or damaged."""
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise WeightsError(
            f"{path}: cannot be read as safetensors: {error}; if the model came from the Hub, get "
            "it again with: shamisa pull"
        ) from error


def weights_digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 (hexadecimal) of names, types, shapes and values, in order of the names."""
    digest = hashlib.sha256()
    for name, value in sorted(tensors.items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def folder_digest(folder: Path) -> str:
    """:func:`weights_digest`, the stored one if there is one; :func:`read_weights` checks that."""
    return _stored_digest(folder / WEIGHTS_FILE) or weights_digest(read_weights(folder))


def _stored_digest(path: Path) -> str | None:
    """The digest that was written with the weights, if any."""
    with safe_open(path, framework="pt") as file:
        return (file.metadata() or {}).get(DIGEST_KEY)
