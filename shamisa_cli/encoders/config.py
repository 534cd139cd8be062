"""What is stored beside the weights: everything that a score depends on (``config.json``)."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from shamisa_cli.errors import UsageError, WeightsError
from shamisa_cli.settings import from_mapping, read_json_object, to_mapping

FORMAT = 1
"""Version of the folder format; raised when an older shamisa could no longer read it rightly."""


Pooling = Literal["last", "stages", "log_stages"]
Statistics = Literal["none", "scene"]


@dataclass(frozen=True)
class Preprocessing:
    """Per-channel normalisation of RGB in [0, 1] before the backbone: (x - mean) / std."""

    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, (*self.mean, *self.std))) or min(self.std) <= 0:
            raise ValueError("mean and std must be finite, and std above 0")


@dataclass(frozen=True)
class Protocol:
    """How a photo becomes features (method.md §6).

    Attributes
    ----------
    short_side : the photo is first shrunk (never enlarged) until its short side is at most this
        many px; None scores at native size.
    max_side : likewise for the longer side; the smaller of the two sizes counts.
    crop : side of the square crops, px. Photos with a side under it are padded by reflection.
    crops : ``five`` (centre and four corners), ``whole`` (the whole picture as one crop) or
        ``tiles`` (a grid that covers the picture).
    scales : each crop place is looked at at these scales; their features are concatenated.
    """

    short_side: int | None = 512
    max_side: int | None = None
    crop: int = 224
    crops: Literal["five", "whole", "tiles"] = "five"
    scales: tuple[float, ...] = (1.0, 0.5)

    def __post_init__(self) -> None:
        if any(side is not None and side < 1 for side in (self.short_side, self.max_side)):
            raise ValueError("short_side and max_side must be at least 1 px")
        if self.crop < 1:
            raise ValueError(f"crop must be at least 1 px, got {self.crop}")
        if not self.scales or not all(math.isfinite(s) and s > 0 for s in self.scales):
            raise ValueError(f"scales must be above 0, and one at least, got {self.scales}")


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
    default_head : the head that is used when none is asked for.
    training : facts about the pre-training, for people; nothing reads them.
    """

    name: str
    backbone: str
    feature_size: int
    pooling: Pooling = "last"
    statistics: Statistics = "none"
    default_head: str = ""
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    protocol: Protocol = field(default_factory=Protocol)
    training: dict[str, Any] = field(default_factory=dict)
    format: int = FORMAT

    def save(self, path: Path) -> None:
        """Write as JSON."""
        path.write_text(json.dumps(to_mapping(self), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> ModelConfig:
        """Read ``config.json``; a newer format is refused, and so is a key we do not know."""
        values = read_json_object(path, "config.json")
        if isinstance(values.get("format"), int) and values["format"] > FORMAT:
            raise WeightsError(
                f"{path}: format {values['format']} is newer than this shamisa reads ({FORMAT}); "
                "upgrade with: pip install -U shamisa"
            )
        try:
            return from_mapping(cls, values, str(path))
        except UsageError as error:
            raise WeightsError(str(error)) from error
