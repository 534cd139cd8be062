"""From the name of a model to a Scorer that is ready."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Literal

from shamisa_cli.encoders.config import ViewingProtocol
from shamisa_cli.encoders.features import FeatureExtractor
from shamisa_cli.errors import UsageError
from shamisa_cli.imaging.decode import MAX_PIXELS
from shamisa_cli.models.config import ModelConfig
from shamisa_cli.models.head import Head
from shamisa_cli.models.heads import choose_head
from shamisa_cli.models.names import locate_model
from shamisa_cli.models.store import load_encoder
from shamisa_cli.models.weights import folder_digest
from shamisa_cli.scoring.scorer import Scorer
from shamisa_cli.settings import to_mapping

MIN_SIDE = 128
"""px; in a photo shrunk below that, blur, noise and artifacts are gone."""

_FINGERPRINT = 8
"""Hexadecimal digits."""


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
    """A model, ready to score photos.

    Parameters
    ----------
    model : ``default``, a bundled name, a folder, or ``hf://owner/name[@revision]`` once pulled.
    head : one of the model's heads; None takes its default.
    device : ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
    precision : ``auto`` (bf16 where the device has it), ``fp32`` or ``bf16``.
    short_side, max_side, native, crops : in place of the model's own; sides are 128 px at least.
    max_pixels : cap on the pixels of a photo; larger ones are refused.
    workers : threads that decode and, on a CPU, score; None is one for each core.
    batch_size : photos collected for a pass of an accelerator; it changes no score.

    Raises
    ------
    WeightsError
        if there is no such model or head, its files are damaged, or the head is of another encoder;
        UsageError for invalid options.

    Examples
    --------
    >>> load("fast", device="cpu", short_side=384).head.info.dataset
    'clive'
    """
    folder = locate_model(str(model))
    encoder, config = load_encoder(folder)
    chosen = choose_head(folder, head, config)
    protocol = adapt_protocol(config.protocol, short_side, max_side, native, crops)
    return Scorer(
        FeatureExtractor(encoder, protocol, device, precision),
        chosen if protocol == config.protocol else _without_everyday(chosen),
        model=f"{config.name}@{fingerprint(folder, config, protocol, chosen)}",
        max_pixels=max_pixels,
        workers=workers,
        batch_size=batch_size,
    )


def _without_everyday(head: Head) -> Head:
    """The table of everyday scores is of scores by the model's own protocol, and of no other."""
    return replace(head, info=replace(head.info, everyday=None))


def adapt_protocol(
    protocol: ViewingProtocol,
    short_side: int | None = None,
    max_side: int | None = None,
    native: bool = False,
    crops: Literal["five", "whole"] | None = None,
) -> ViewingProtocol:
    """``protocol`` with another viewing size, or other crops; invalid combinations are refused.

    Parameters
    ----------
    short_side, max_side : px, 128 at least; the photo is shrunk until that side is at most as long.
    native : score at native size, in tiles that cover the photo.
    crops : ``five`` or ``whole``.
    """
    asked = {"short_side": short_side, "max_side": max_side, "native": native or None}
    given = {name: value for name, value in asked.items() if value is not None}
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} exclude each other: give one viewing size")
    if native and crops is not None:
        raise UsageError("native looks at all of a photo in tiles; leave crops out")
    if crops not in (None, "five", "whole"):
        raise UsageError(f"unknown crops {crops!r}: expected five or whole")
    for name, side in given.items():
        if name != "native" and side < MIN_SIDE:
            raise UsageError(f"{name} must be at least {MIN_SIDE} px, got {side}")
    if native:
        return replace(protocol, short_side=None, max_side=None, crops="tiles")
    if given:
        protocol = replace(protocol, short_side=short_side, max_side=max_side)
    return protocol if crops is None else replace(protocol, crops=crops)


def fingerprint(folder: Path, config: ModelConfig, protocol: ViewingProtocol, head: Head) -> str:
    """Eight hexadecimal digits that change with weights, config, protocol or head.

    Device and precision are left out: they change a score by less than a point. ``folder`` is
    one that was loaded, which checks its weights.
    """
    digest = hashlib.sha256(folder_digest(folder).encode())
    digest.update(head.weight.double().numpy().tobytes())
    if head.spread is not None:
        digest.update(head.spread.double().numpy().tobytes())
    what_counts = replace(config, name="", default_head="", training={}, protocol=protocol)
    mapping = to_mapping(what_counts)
    del mapping["seen"]  # it decides nothing
    if config.pooling != "regions":
        del mapping["regions"]  # they decide nothing
    if not config.ends:
        del mapping["ends"]  # earlier versions did not know it, and what they scored stands
    facts = [mapping, head.bias, head.info.knots]
    digest.update(json.dumps(facts, sort_keys=True).encode())
    return digest.hexdigest()[:_FINGERPRINT]
