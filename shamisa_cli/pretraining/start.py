"""What a run starts from when nobody said: weights, and the recipe that goes with them.

The published recipe is tuned for an ImageNet start. From random weights it collapses or diverges
(method.md §5; measured: a ResNet-50 in bf16 is not finite after five steps), so a run that starts
there, and for which no preset was asked for, takes the preset ``scratch``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from shamisa_cli.errors import UsageError, WeightsError
from shamisa_cli.models.pretrained import imagenet_folder
from shamisa_cli.pretraining.config import PretrainConfig
from shamisa_cli.pretraining.presets import resolve

PUBLISHED, FROM_RANDOM = "shamisa", "scratch"
"""The preset of a run for which none was asked for, from ImageNet's weights and from random."""


def resolve_start(
    preset: str | None,
    config_file: Path | None,
    options: Mapping[str, Any],
    resumed: Mapping[str, Any] | None,
    say: Callable[[str], None],
) -> PretrainConfig:
    """The config of a run with its preset and its ``init`` decided.

    Parameters
    ----------
    preset : as asked for; None takes the one that fits the weights.
    config_file, options : what comes over the preset.
    resumed : the config of the checkpoint to go on from, if any; it decides ``init``.
    say : hears what was decided, and why, where the user could not know.
    """
    config = resolve(preset or PUBLISHED, config_file, options)
    config = decide_init(config, resumed, say)
    if preset is None and config.init == "random":
        say(
            f"preset {FROM_RANDOM}: the published recipe fails from random weights "
            f"(--preset {PUBLISHED} insists on it)"
        )
        return replace(resolve(FROM_RANDOM, config_file, options), init="random")
    if preset == PUBLISHED and config.init == "random":
        say(f"the published recipe fails from random weights: --preset {FROM_RANDOM} is for them")
    return config


def decide_init(
    config: PretrainConfig, resumed: Mapping[str, Any] | None, say: Callable[[str], None]
) -> PretrainConfig:
    """``config`` with ``init = "auto"`` decided: as the resumed run did, else by what is here.

    Raises
    ------
    UsageError
        if it is not ``auto``, and not what the resumed run began from.
    """
    if resumed is not None:
        if config.init not in ("auto", resumed["init"]):
            raise UsageError(
                f"the run to resume began from init {resumed['init']}, not {config.init}: resume "
                "with --init auto, which takes what it began from, or choose another --out"
            )
        return replace(config, init=resumed["init"])
    if config.init != "auto":
        return config
    try:
        imagenet_folder(config.backbone, fetch=False)
    except WeightsError as error:
        say(f"starting from random weights: {error}")
        return replace(config, init="random")
    return replace(config, init="imagenet")
