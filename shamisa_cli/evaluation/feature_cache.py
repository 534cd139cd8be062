"""Features on disk, so that they are extracted once: one small file an image, safe to interrupt."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from shamisa_cli import digests
from shamisa_cli.encoders.config import ViewingProtocol
from shamisa_cli.encoders.encoder import Encoder
from shamisa_cli.encoders.features import FeatureExtractor
from shamisa_cli.errors import PhotoError
from shamisa_cli.files import replacing, writing
from shamisa_cli.settings import to_mapping

FEATURES_VERSION = 5
"""Of the code that makes features: decoding, resampling, crops, distortions, encoder.

Raise it with any change of what that code computes: features of older code then count as missing.
"""

ADVICE = "make room, or choose another folder for features"
"""Where they cannot be written."""


class FeatureCache:
    """Features by what they were made from.

    State: a folder. A file's name is a digest of the encoder's weights, its preprocessing, the
    protocol, the precision, :data:`FEATURES_VERSION`, and the content of the image: nothing that
    features depend on is left out, and a path or a date is no part of it.

    ``folder`` is made if it is missing; ``key`` is of :func:`features_key`.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self.folder = folder / key[:16]
        with writing(self.folder, ADVICE):
            self.folder.mkdir(parents=True, exist_ok=True)

    def get(self, digest: str) -> Tensor | None:
        """The features stored under ``digest``; None if there are none, or the file is damaged."""
        try:
            return load_file(self._path(digest))["features"]
        except (OSError, SafetensorError, KeyError):
            return None

    def put(self, digest: str, features: Tensor) -> None:
        """Store ``features``; the file appears whole or not at all."""
        path = self._path(digest)
        with writing(self.folder, ADVICE):
            path.parent.mkdir(exist_ok=True)
            with replacing(path) as part:
                part.write_bytes(save({"features": features.contiguous()}))

    def _path(self, digest: str) -> Path:
        return self.folder / digest[:2] / f"{digest}.safetensors"


def features_key(encoder: Encoder, extractor: FeatureExtractor) -> str:
    """A digest of everything but the image that features of ``extractor`` depend on."""
    return encoder_key(encoder, extractor.protocol, extractor.device.type, extractor.bf16)


def encoder_key(encoder: Encoder, protocol: ViewingProtocol, *machine: object) -> str:
    """A digest of an encoder and of how it looks at photos; whatever it runs on, if not given."""
    digest = hashlib.sha256()
    for name, value in sorted(encoder.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    facts = [
        FEATURES_VERSION,
        to_mapping(encoder.preprocessing),
        encoder.pooling,
        encoder.statistics,
        to_mapping(encoder.regions),
        to_mapping(protocol),
        *machine,
    ]
    digest.update(json.dumps(facts, sort_keys=True).encode())
    return digest.hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content; PhotoError if it cannot be read."""
    try:
        return digests.file_digest(path)
    except OSError as error:
        raise PhotoError(f"{path}: {error.strerror}") from error
