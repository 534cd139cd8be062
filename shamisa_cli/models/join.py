"""Models of one start as one: what they share once, and the last stages of each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from shamisa_cli.encoders.backbones import is_efficientnet
from shamisa_cli.encoders.encoder import Encoder
from shamisa_cli.encoders.ends import LastStages, add_end, further_ends
from shamisa_cli.errors import UsageError
from shamisa_cli.models.config import ModelConfig
from shamisa_cli.models.store import load_encoder, save_encoder

SAME = ("backbone", "preprocessing")
"""Facts that must be those of both models."""


def join_models(start: Path, other: Path, out: Path) -> ModelConfig:
    """Write the model ``out`` with the last stages of two model folders side by side; its config.

    It looks at photos, and reads its maps, as ``start`` does; of ``other`` it takes the weights of
    the last stages. Their features count as much. It has no head: features of both are new to any.
    ``start`` may have several ends already.

    Raises
    ------
    UsageError
        if the backbones or their preprocessing differ, if they are no EfficientNets, or ``start``
        has another ``pooling`` than regions; if their first stages differ, or nothing does; if
        ``other`` has several ends, or its own is among those of ``start``.
    """
    (one, config), (two, facts) = load_encoder(start), load_encoder(other)
    for name in SAME:
        if getattr(config, name) != getattr(facts, name):
            raise UsageError(f"{start} and {other}: {name} differs; join models of one start")
    if config.pooling != "regions" or not is_efficientnet(one.backbone):
        raise UsageError(f"{start}: only EfficientNets with pooling = regions can be joined")
    if facts.ends:
        raise UsageError(f"{other}: has several ends; join the models that it was made of")
    block = _first_of_new_end(one.backbone, two.backbone, start, other)
    add_end(one.backbone, block, two.backbone)
    maps, count = config.regions.maps, len(cast(Any, one.backbone).blocks)
    of_first_end = maps[block + 1 : count + 2]  # behind the stem's, with the head's convolution
    regions = replace(config.regions, maps=(*maps, *of_first_end))
    made = Encoder(one.backbone, config.preprocessing, config.pooling, config.statistics, regions)
    training: dict[str, Any] = {
        "method": "the last stages of two models side by side",
        "start": {"name": config.name, **config.training},
        "other": {"name": facts.name, **facts.training},
    }
    joined = replace(
        config,
        name=out.resolve().name,
        feature_size=made.feature_size,
        regions=regions,
        ends=(*config.ends, block),
        default_head="",
        training=training,
        seen=tuple(dict.fromkeys((*config.seen, *facts.seen))),
    )
    save_encoder(out, made, joined)
    return joined


def _first_of_new_end(one: nn.Module, two: nn.Module, start: Path, other: Path) -> int:
    """The block at which the end of ``two`` starts; a UsageError if ``one`` cannot have it."""
    block = first_difference(one, two)
    if block is None:
        raise UsageError(f"{start} and {other}: their weights are the same; nothing to join")
    if block < 1:
        raise UsageError(
            f"{start} and {other}: their first stages differ; join models of one start"
        )
    if any(_is_end_of(end, two) for end in further_ends(one)):
        raise UsageError(f"{start}: has the last stages of {other} already")
    return min(block, len(cast(Any, one).blocks) - 1)


def first_difference(one: nn.Module, two: nn.Module) -> int | None:
    """The first block in which two EfficientNets of one kind differ, further ends left out.

    −1 is the stem, the number of blocks what comes after them; None if nothing differs.
    """
    count = len(cast(Any, one).blocks)
    own = one.state_dict()
    different = [
        _place(name, count)
        for name, value in two.state_dict().items()
        if not torch.equal(value, own[name])
    ]
    return min(different, default=None)


def _place(name: str, count: int) -> int:
    stage, _, rest = name.partition(".")
    if stage == "blocks":
        return int(rest.partition(".")[0])
    return -1 if stage in ("conv_stem", "bn1") else count


def _is_end_of(end: LastStages, net: nn.Module) -> bool:
    """Whether an end has the weights of the last stages of ``net``."""
    theirs = net.state_dict()  # an end's weights keep the names that they had in a network
    return all(torch.equal(value, theirs[name]) for name, value in end.state_dict().items())
