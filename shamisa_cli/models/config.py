"""What is stored beside the weights: everything that a score depends on (``config.json``)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from shamisa_cli.encoders.config import Pooling, Preprocessing, Statistics, ViewingProtocol
from shamisa_cli.encoders.regions import Regions
from shamisa_cli.errors import UsageError, WeightsError
from shamisa_cli.settings import from_mapping, read_json_object, to_mapping

T = TypeVar("T")

FORMAT = 1
"""Version of the folder format; raised when an older shamisa would misread it."""

SEEN_DIGITS = 12
"""Hexadecimal digits by which an image is known."""


@dataclass(frozen=True)
class ModelConfig:
    """The facts of one trained encoder.

    Attributes
    ----------
    name : what the model calls itself in the ``model`` column.
    backbone : timm name.
    feature_size : d, the length of the features of one crop.
    pooling : how the backbone's maps become h; see :class:`~shamisa_cli.encoders.encoder.Encoder`.
    statistics : hand-made features beside h: ``none``, or ``scene``, those of
        :mod:`~shamisa_cli.encoders.scene_statistics`.
    regions : how much each part of the features counts, for ``pooling = "regions"``.
    ends : the blocks at which further ends start, see :mod:`~shamisa_cli.encoders.ends`.
    default_head : the head that is used when none is asked for.
    training : facts about the training, for people; nothing reads them.
    seen : images that it was fine-tuned on, with scores or as ladders, each the first
        :data:`SEEN_DIGITS` of the SHA-256 of its file. Figures on these images flatter it.
    """

    name: str
    backbone: str
    feature_size: int
    pooling: Pooling = "last"
    statistics: Statistics = "none"
    regions: Regions = field(default_factory=Regions)
    ends: tuple[int, ...] = ()
    default_head: str = ""
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    protocol: ViewingProtocol = field(default_factory=ViewingProtocol)
    training: dict[str, Any] = field(default_factory=dict)
    seen: tuple[str, ...] = ()
    format: int = FORMAT

    def encode(self) -> bytes:
        """The content of ``config.json``."""
        return (json.dumps(to_mapping(self), indent=2) + "\n").encode()

    @classmethod
    def load(cls, path: Path) -> ModelConfig:
        """Read ``config.json``; a newer format is refused, and so is a key we do not know."""
        values = read_json_object(path, "config.json")
        if isinstance(values.get("format"), int) and values["format"] > FORMAT:
            raise WeightsError(
                f"{path}: format {values['format']} is newer than this shamisa reads ({FORMAT}); "
                "upgrade with: pip install -U shamisa"
            )
        return load_stored(cls, values, str(path))


def load_stored(cls: type[T], values: Mapping[str, Any], where: str) -> T:
    """:func:`from_mapping` of what a model's own file says: a refusal is a WeightsError."""
    try:
        return from_mapping(cls, values, where)
    except UsageError as error:
        raise WeightsError(str(error)) from error
