"""Features of models that have no head: rows without a score."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from shamisa_cli.encoders.features import FeatureExtractor
from shamisa_cli.imaging.decode import MAX_PIXELS
from shamisa_cli.models.head import Head, HeadInfo
from shamisa_cli.models.heads import list_heads
from shamisa_cli.models.names import locate_model
from shamisa_cli.models.store import load_encoder
from shamisa_cli.scoring.loading import fingerprint, load
from shamisa_cli.scoring.photos import Photo
from shamisa_cli.scoring.score import Score
from shamisa_cli.scoring.scorer import Prepared, Scorer


class Unheaded(Scorer):
    """A Scorer of a model without a head: its scores are None, and say ``ok`` or ``padded``."""

    def scored(self, photo: Photo, prepared: Prepared, features: Tensor) -> Score:
        """The row of a photo, without a score."""
        score = super().scored(photo, prepared, features)
        status = "padded" if score.padded else "ok"
        return replace(score, score=None, uncertainty=None, status=status, raw=None)


def load_features(
    model: str | Path = "default",
    head: str | None = None,
    device: str = "auto",
    *,
    precision: str = "auto",
    max_pixels: int = MAX_PIXELS,
    workers: int | None = None,
) -> Scorer:
    """:func:`load`, for models without a head too.

    Raises
    ------
    WeightsError, UsageError
        as ``load`` does.
    """
    folder = locate_model(str(model))
    options: dict[str, Any] = {"max_pixels": max_pixels, "workers": workers}
    if head or list_heads(folder):
        return load(model, head, device, precision=precision, **options)
    encoder, config = load_encoder(folder)
    extractor = FeatureExtractor(encoder, config.protocol, device, precision)
    size = extractor.features(Image.new("RGB", (64, 64))).shape[-1]
    none = Head(torch.zeros(size), 0.0, HeadInfo("", "", (0.0, 1.0), True, 0, size, 1.0))
    name = f"{config.name}@{fingerprint(folder, config, config.protocol, none)}"
    return Unheaded(extractor, none, model=name, **options)
