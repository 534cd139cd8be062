"""How an encoder reads its input, and how a photo becomes crops: stored beside the weights."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Pooling = Literal["last", "log_stages", "regions"]
Statistics = Literal["none", "scene"]


@dataclass(frozen=True)
class Preprocessing:
    """Per-channel normalization of RGB in [0, 1] before the backbone: (x - mean) / std."""

    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, (*self.mean, *self.std))) or min(self.std) <= 0:
            raise ValueError("mean and std must be finite, and std above 0")


@dataclass(frozen=True)
class ViewingProtocol:
    """How a photo becomes crops (docs/method.md §6).

    Attributes
    ----------
    short_side : the photo is first shrunk (never enlarged) until its short side is at most this
        many px; None scores at native size.
    max_side : likewise for the longer side; the smaller of the two sizes counts.
    crop : side of the square crops, px. Photos with a side under it are padded by reflection.
    crops : ``five`` (center and four corners), ``whole`` (the whole picture as one crop) or
        ``tiles`` (a grid that covers the picture).
    scales : every place is cut at each of these scales; their features are concatenated.
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
