"""A pre-training run from photos to a model folder, with everything that is kept of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shamisa_cli.encoders.encoder import Encoder
from shamisa_cli.encoders.precision import choose_device
from shamisa_cli.errors import ShamisaError, UsageError
from shamisa_cli.imaging.pool import PhotoPool
from shamisa_cli.models.config import ModelConfig
from shamisa_cli.models.store import save_encoder
from shamisa_cli.pretraining.config import PretrainConfig
from shamisa_cli.pretraining.photos import check_photos, photo_facts
from shamisa_cli.pretraining.plots import batch_sheet, plot_run
from shamisa_cli.pretraining.start import decide_init
from shamisa_cli.settings import to_mapping
from shamisa_cli.training.checkpoint import Checkpoint, checkpoints, load_checkpoint
from shamisa_cli.training.log import read_log
from shamisa_cli.training.loop import Finished, Trainer
from shamisa_cli.training.parallel import join_ranks, leave_ranks
from shamisa_cli.training.tensorboard import tensorboard_writer

RESUMABLE = (
    "steps",
    "epochs",
    "budget",
    "workers",
    "device",
    "precision",
    "compile",
    "pooling",
    "statistics",
)
"""Keys that a resumed run may change, beside the optimizer's ``lr`` and ``clip_norm``."""


@dataclass(frozen=True)
class RunOptions:
    """What a run is given beside its config: where photos are, where results go."""

    photos: Path
    out: Path
    resume: bool = False
    save_every: int = 250


@dataclass(frozen=True)
class Probe:
    """Measure the encoder each ``every`` steps: ``measure`` of its model folder is said."""

    every: int
    measure: Callable[[Path], str]


def pretrain_to(
    config: PretrainConfig,
    options: RunOptions,
    say: Callable[[str], None],
    on_step: Callable[[dict[str, Any]], None],
    probe: Probe | None = None,
) -> Path | None:
    """Pre-train, and return the folder of the model; None on ranks that do not write it."""
    device = choose_device(config.device)
    ranks = join_ranks(device.type)
    try:
        checkpoint = _checkpoint(config, options)
        config = decide_init(config, checkpoint.config if checkpoint else None, say)
        pool = PhotoPool(options.photos)
        photos = photo_facts(options.photos, pool.paths)
        if checkpoint is not None:
            check_photos(photos, checkpoint.photos, options.photos)
        trainer = Trainer(
            config, pool, options.out, device, ranks, options.save_every, checkpoint, photos
        )
        if ranks.is_first:
            _begin(trainer, options, say)
        board = tensorboard_writer(options.out, trainer.step + 1)
        with board if ranks.is_first else nullcontext() as to_tensorboard:

            def after_step(record: dict[str, Any]) -> None:
                on_step(record)
                if to_tensorboard is not None:
                    to_tensorboard(record)
                if probe is not None and record["step"] % probe.every == 0:
                    model = save_model(trainer, options.out)
                    say(f"step {record['step']}: {_measured(probe, model)}")

            finished = trainer.run(after_step if ranks.is_first else None)
        if ranks.is_first:
            _end(trainer, options, finished, say)
    finally:
        leave_ranks()
    return options.out / "model" if ranks.is_first else None


def _measured(probe: Probe, folder: Path) -> str:
    """What the probe says of a model folder; training goes on where it can say nothing."""
    try:
        return probe.measure(folder)
    except ShamisaError as error:
        return f"not measured: {error}"


def _checkpoint(config: PretrainConfig, options: RunOptions) -> Checkpoint | None:
    """The newest checkpoint to resume from; an ``out`` in use, or another run's, is refused."""
    found = checkpoints(options.out / "checkpoints")
    if not options.resume:
        if found:
            raise UsageError(
                f"{options.out} holds a run already (step {int(found[-1].name[5:])}): go on with "
                "--resume, or choose another --out"
            )
        return None
    if not found:
        return None
    checkpoint = load_checkpoint(found[-1])
    now, then = _identity(to_mapping(config)), _identity(checkpoint.config)
    differing = [key for key in now if now[key] != then.get(key)]
    if differing:
        raise UsageError(
            f"{found[-1]} was made with another {', '.join(differing)}: resume with the same "
            "settings, or choose another --out"
        )
    return checkpoint


def _identity(config: dict[str, Any]) -> dict[str, Any]:
    """The part of a config that would make it another run."""
    kept = {key: value for key, value in config.items() if key not in RESUMABLE}
    optimizer = config["optimizer"].items()
    del kept["init"]  # decide_init compares it, once auto is decided
    return {**kept, "optimizer": {k: v for k, v in optimizer if k not in ("lr", "clip_norm")}}


def _begin(trainer: Trainer, options: RunOptions, say: Callable[[str], None]) -> None:
    """Say what is about to happen, and keep the config and a sheet of the first mini-batch."""
    config, out = trainer.config, options.out
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / "config.json").write_text(
            json.dumps(to_mapping(config), indent=2) + "\n", encoding="utf-8"
        )
    except OSError as error:
        raise UsageError(f"{out}: cannot be written: {error.strerror or error}") from error
    n = sum(p.numel() for p in trainer.model.encoder.parameters())
    start = {"random": "random weights, not ImageNet's", "imagenet": "ImageNet weights"}
    say(
        f"{config.backbone} ({n / 1e6:.1f} M) from {start.get(config.init, config.init)}; "
        f"{len(trainer.pool)} photos in {options.photos}; {config.batch.n} crops a mini-batch; "
        f"{trainer.device.type}, {'bf16' if trainer.autocast else 'fp32'}; "
        f"graphs: {', '.join(config.graphs.sources)}"
    )
    if trainer.step:
        say(f"resumed at step {trainer.step}")
        return
    if options.resume:
        say(f"nothing to resume in {out}: a new run")
    batch = trainer.first_batch()
    batch_sheet(batch.crops, batch.metadata, config.batch).save(out / "batch.png")
    say(f"a mini-batch to look at: {out / 'batch.png'}")


def _end(
    trainer: Trainer, options: RunOptions, finished: Finished, say: Callable[[str], None]
) -> None:
    """Write the model folder and the pictures; say how the run ended."""
    save_model(trainer, options.out)
    pictures = plot_run(read_log(options.out / "log.jsonl"), options.out)
    say(f"{finished.reason} at step {finished.step} after {finished.elapsed / 60:.1f} min")
    if finished.reason == "stopped":
        say("go on with --resume")
    if finished.step and not pictures:
        say('no pictures of the curves: they need matplotlib (pip install "shamisa[plots]")')


def save_model(trainer: Trainer, out: Path) -> Path:
    """Write the encoder so far as a model folder, ``out``/model."""
    config, trained = trainer.config, trainer.model.encoder
    encoder = Encoder(trained.backbone, trained.preprocessing, config.pooling, config.statistics)
    facts = {
        "method": "SHAMISA pre-training (arXiv 2603.13669), no human scores",
        "steps": trainer.step,
        "crops": trainer.step * config.accumulate * config.batch.n,
        "photos": len(trainer.pool),
        "seconds": round(trainer.elapsed, 1),
        "device": trainer.device.type,
        "config": to_mapping(config),
    }
    model_config = ModelConfig(
        name=out.resolve().name,
        backbone=config.backbone,
        feature_size=encoder.feature_size,
        pooling=config.pooling,
        statistics=config.statistics,
        preprocessing=encoder.preprocessing,
        training=facts,
    )
    save_encoder(out / "model", encoder, model_config)
    return out / "model"
