"""From the name of a model to a Scorer that is ready."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from shamisa_cli.encoders.features import FeatureExtractor
from shamisa_cli.imaging.decode import MAX_PIXELS
from shamisa_cli.models.heads import choose_head
from shamisa_cli.models.names import locate_model
from shamisa_cli.models.store import load_encoder
from shamisa_cli.scoring.fingerprint import fingerprint
from shamisa_cli.scoring.protocol import adapt_protocol
from shamisa_cli.scoring.scorer import Scorer


def load(
    model: str | Path = "default",
    head: str | None = None,
    device: str = "auto",
    *,
    precision: str = "auto",
    short_side: int | None = None,
    max_side: int | None = None,
    native: bool = False,
    crops: Literal["five", "whole"] | None = None,
    max_pixels: int = MAX_PIXELS,
    workers: int | None = None,
    batch_size: int | None = None,
) -> Scorer:
    """Make a model ready to score photos.

    Parameters
    ----------
    model : ``default``, the name of a bundled model, the path of a model folder, or the name of a
        repository on the Hub that was pulled, ``hf://owner/name[@revision]``.
    head : one of the model's heads; None takes its default.
    device : ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
    precision : ``auto`` (bf16 where the device has it), ``fp32`` or ``bf16``.
    short_side, max_side, native, crops : another viewing size, or other crops, than the model's
        own protocol says; see :func:`shamisa_cli.scoring.protocol.adapt_protocol`.
    max_pixels : cap on the pixels of a photo; larger ones are refused.
    workers : threads that decode; None is one for each core, 8 at most.
    batch_size : photos collected before they are scored; None is what suits the device. It
        changes no score.

    Raises
    ------
    WeightsError
        if there is no such model or head, its files are damaged, or the head is of another encoder.
    UsageError
        for options that cannot be meant.
    """
    folder = locate_model(str(model))
    encoder, config = load_encoder(folder)
    chosen = choose_head(folder, head, config)
    protocol = adapt_protocol(
        config.protocol, short_side=short_side, max_side=max_side, native=native, crops=crops
    )
    extractor = FeatureExtractor(encoder, protocol, device, precision)
    return Scorer(
        extractor,
        chosen,
        model=f"{config.name}@{fingerprint(folder, config, protocol, chosen)}",
        max_pixels=max_pixels,
        workers=workers,
        batch_size=batch_size,
    )
