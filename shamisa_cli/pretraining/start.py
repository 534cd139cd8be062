"""Where a run starts: its recipe, its checkpoint if it goes on, and the weights it begins with.

The published recipe is tuned for an ImageNet start. From random weights it collapses or diverges
(docs/method.md §5; measured: a ResNet-50 in bf16 is not finite after five steps). So a run that
starts there, and for which no preset was asked for, takes the preset ``scratch``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from shamisa_cli.encoders.config import Preprocessing
from shamisa_cli.encoders.encoder import Encoder
from shamisa_cli.errors import UsageError, WeightsError
from shamisa_cli.models.names import CONFIG_FILE, locate_model
from shamisa_cli.models.pretrained import imagenet_folder, load_pretrained, timm_architecture
from shamisa_cli.models.store import load_encoder
from shamisa_cli.pretraining.ablations import parse_ablation, settings_text
from shamisa_cli.pretraining.config import PretrainConfig
from shamisa_cli.pretraining.folder import check_folder
from shamisa_cli.pretraining.model import PretrainModel
from shamisa_cli.pretraining.presets import resolve
from shamisa_cli.seeds import derived_seed
from shamisa_cli.settings import from_mapping, to_mapping
from shamisa_cli.training.checkpoint import Checkpoint, checkpoints, load_checkpoint

PUBLISHED, FROM_RANDOM = "shamisa", "scratch"
"""The preset of a run for which none was asked for, from ImageNet's weights and from random."""

RUNNING = (
    *("steps", "epochs", "budget", "workers", "device", "precision", "compile"),
    "dynamics_every",
)
CHANGEABLE = (*RUNNING, "pooling", "statistics")
"""Keys that a resumed run may change, beside the optimizer's ``lr`` and ``clip_norm``."""


@dataclass(frozen=True)
class Start:
    """Where a run starts.

    Attributes
    ----------
    config : with ``init`` decided, so never ``auto``.
    checkpoint : to go on from; None for a new run.
    model : on the CPU, with initial weights; those of ``checkpoint`` are still to be loaded.
    overwrite : the run in the folder is removed first.
    """

    config: PretrainConfig
    checkpoint: Checkpoint | None
    model: PretrainModel
    overwrite: bool = False


def plan_start(
    options: Mapping[str, Any],
    out: Path,
    say: Callable[[str], None],
    *,
    preset: str | None = None,
    config_file: Path | None = None,
    ablations: Sequence[str] = (),
    resume: bool = False,
    overwrite: bool = False,
) -> Start:
    """Decide where a run starts.

    Parameters
    ----------
    options, config_file : what comes over the preset, the options last.
    out : the run's folder.
    say : hears what was decided, and why, where the user could not know.
    preset : as asked for; None takes the one that fits the weights.
    ablations : differences from the preset, see :mod:`~shamisa_cli.pretraining.ablations`.
    resume : go on from the newest checkpoint in ``out``, if there is one.
    overwrite : replace the run in ``out``.

    Raises
    ------
    UsageError
        for a wrong configuration, an ``out`` that holds another run, or another backbone.
    WeightsError
        if the initial weights are not to be had.
    """
    checkpoint = _newest(out, resume, overwrite)
    if resume and checkpoint is None:
        say(f"nothing to resume in {out}: a new run")
    resolved = partial(resolve, config_file=config_file, options=options, ablations=ablations)
    config = _decided_config(resolved, preset, checkpoint, say)
    _tell_ablations(ablations, say)
    return _start(config, checkpoint, out, overwrite)


def start_of(
    config: PretrainConfig, out: Path, *, resume: bool = False, overwrite: bool = False
) -> Start:
    """Where a run of ``config`` starts, which is resolved and says its ``init``: never ``auto``.

    ``out``, ``resume``, ``overwrite`` and the errors are those of :func:`plan_start`.
    """
    return _start(config, _newest(out, resume, overwrite), out, overwrite)


def _start(
    config: PretrainConfig, checkpoint: Checkpoint | None, out: Path, overwrite: bool
) -> Start:
    """The model of a run with its initial weights, and what was decided before."""
    if checkpoint is not None:
        _check_same_run(config, checkpoint, out)
    with torch.random.fork_rng(devices=[]):  # the weights are a pure function of the seed
        torch.manual_seed(derived_seed(config.seed))
        encoder = _resumed_encoder(checkpoint) if checkpoint else initial_encoder(config)
        # What the finished model cannot read is refused now, not after the training.
        Encoder(encoder.backbone, encoder.preprocessing, config.pooling, config.statistics)
        return Start(config, checkpoint, PretrainModel(encoder, config), overwrite)


def _decided_config(
    resolved: Callable[[str], PretrainConfig],
    preset: str | None,
    checkpoint: Checkpoint | None,
    say: Callable[[str], None],
) -> PretrainConfig:
    """The config by the preset that was asked for, or else that fits the weights."""
    config = resolved(preset or PUBLISHED)
    config = _with_init(config, _decided_init(config, checkpoint, say))
    if config.init == "random" and preset is None:
        say(
            f"preset {FROM_RANDOM}: the published recipe fails from random weights "
            f"(preset {PUBLISHED} insists on it)"
        )
        return _with_init(resolved(FROM_RANDOM), "random")
    if config.init == "random" and preset == PUBLISHED:
        say(f"the published recipe fails from random weights: preset {FROM_RANDOM} is for them")
    return config


def _with_init(config: PretrainConfig, init: str) -> PretrainConfig:
    """With ``init`` decided; a UsageError says what else in ``config`` does not go with it."""
    return from_mapping(PretrainConfig, {**to_mapping(config), "init": init}, "the configuration")


def _tell_ablations(ablations: Sequence[str], say: Callable[[str], None]) -> None:
    """Say of each what it changes, with the keys and values."""
    for text in ablations:
        ablation = parse_ablation(text)
        say(f"ablation {text}: {ablation.what} ({', '.join(settings_text(ablation.changes))})")


def _newest(out: Path, resume: bool, overwrite: bool) -> Checkpoint | None:
    """The newest checkpoint in ``out``, to resume; None for a new run, which may begin there."""
    if resume and overwrite:
        raise UsageError("resume goes on with a run, overwrite replaces it: give one of them")
    found = checkpoints(out / "checkpoints") if resume else []
    if found:
        return load_checkpoint(found[-1])
    check_folder(out, overwrite=overwrite)
    return None


def _decided_init(
    config: PretrainConfig, checkpoint: Checkpoint | None, say: Callable[[str], None]
) -> str:
    """``init``, with ``auto`` decided: as the resumed run did, else by what is here."""
    if checkpoint is not None:
        then: str = checkpoint.config["init"]
        if config.init not in ("auto", then):
            raise UsageError(
                f"the run to resume began from init {then}, not {config.init}: resume with "
                "init auto, which takes what it began from, or choose another out"
            )
        return then
    if config.init != "auto":
        return config.init
    try:
        imagenet_folder(config.backbone, fetch=False)
    except WeightsError as error:
        say(f"starting from random weights: {error}")
        return "random"
    return "imagenet"


def _check_same_run(config: PretrainConfig, checkpoint: Checkpoint, out: Path) -> None:
    """Refuse to resume with a config that would make it another run.

    A key that is younger than the run is as by default there.
    """
    begun = to_mapping(from_mapping(PretrainConfig, checkpoint.config, f"the checkpoint in {out}"))
    now, then = _identity(to_mapping(config)), _identity(begun)
    differing = [key for key in now if now[key] != then[key]]
    if differing:
        raise UsageError(
            f"the run in {out} was made with another {', '.join(differing)}: resume with the same "
            "settings, or choose another out"
        )


def _identity(config: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in config.items() if key not in CHANGEABLE}
    optimizer = config["optimizer"].items()
    return {**kept, "optimizer": {k: v for k, v in optimizer if k not in ("lr", "clip_norm")}}


def _resumed_encoder(checkpoint: Checkpoint) -> Encoder:
    """What the checkpoint's weights fit: what the run began with is not needed again."""
    facts = checkpoint.facts["preprocessing"]
    preprocessing = from_mapping(Preprocessing, facts, "the checkpoint")
    return Encoder.from_name(checkpoint.config["backbone"], preprocessing)


def initial_encoder(config: PretrainConfig) -> Encoder:
    """The encoder that ``config.init`` names; random weights are drawn from torch's generator.

    Of a model it takes the backbone and its preprocessing: training sees the last stage only,
    however the model itself reads its features. Only ``imagenet`` asks the network, and only for
    what the Hub's cache has not.

    A WeightsError says that they cannot be had, a UsageError that the model has another backbone.
    """
    if config.init == "random":
        return Encoder.from_name(config.backbone)
    if config.init == "imagenet":
        return load_pretrained(imagenet_folder(config.backbone, fetch=True), config.backbone)
    folder = locate_model(config.init)
    if timm_architecture(folder / CONFIG_FILE) is not None:
        return load_pretrained(folder, config.backbone)
    encoder, facts = load_encoder(folder)
    if facts.backbone != config.backbone:
        raise UsageError(
            f"init: {config.init} is a {facts.backbone}, not a {config.backbone}; "
            f"set backbone to {facts.backbone}"
        )
    if facts.ends:
        raise UsageError(f"init: {config.init} has several ends; take one such as lite0")
    return Encoder(encoder.backbone, encoder.preprocessing)
