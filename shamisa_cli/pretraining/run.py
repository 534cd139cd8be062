"""A pre-training run from photos to a model folder, with everything that is kept of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from shamisa_cli.encoders.encoder import Encoder
from shamisa_cli.encoders.precision import choose_device
from shamisa_cli.imaging.pool import PhotoPool
from shamisa_cli.imaging.save import save_picture
from shamisa_cli.models.config import ModelConfig
from shamisa_cli.models.store import save_encoder
from shamisa_cli.pretraining.folder import remove_run
from shamisa_cli.pretraining.plots import batch_sheet, plot_run
from shamisa_cli.pretraining.probe import PROBES, Probe, probing
from shamisa_cli.pretraining.start import Start
from shamisa_cli.pretraining.task import Pretraining, check_photos
from shamisa_cli.settings import to_mapping
from shamisa_cli.training.checkpoint import writing
from shamisa_cli.training.log import LOG, alone_in, read_log, tensorboard_writer
from shamisa_cli.training.loop import Finished, Trainer
from shamisa_cli.training.parallel import join_ranks, leave_ranks


def pretrain_to(
    out: Path,
    start: Start,
    pool: PhotoPool,
    say: Callable[[str], None],
    on_step: Callable[[dict[str, Any]], None],
    *,
    save_every: int = 250,
    probe: Probe | None = None,
) -> tuple[Path | None, Finished]:
    """Pre-train; returns the folder of the model (None on ranks that do not write it), and the end.

    Parameters
    ----------
    out : folder of the run, the one that ``start`` was planned for.
    start : where it starts, by :func:`~shamisa_cli.pretraining.start.plan_start`.
    pool : the photos.
    say : hears a line at a time of what happens.
    on_step : gets the log record of each step, with ``progress`` and ``total_steps``.
    save_every : steps between two checkpoints.
    """
    config, checkpoint = start.config, start.checkpoint
    device = choose_device(config.device)
    if checkpoint is not None:
        check_photos(pool, checkpoint.facts["photos"])
    ranks = join_ranks(device.type)
    try:
        with alone_in(out) if ranks.is_first else nullcontext():
            if start.overwrite and ranks.is_first:
                remove_run(out)
            task = Pretraining(config, start.model, pool, device, ranks)
            trainer = Trainer(task, config, out, ranks, save_every, checkpoint)
            if not ranks.is_first:
                return None, trainer.run()
            return out / "model", _run(task, trainer, say, on_step, probe)
    finally:
        leave_ranks()


def _run(
    task: Pretraining,
    trainer: Trainer,
    say: Callable[[str], None],
    on_step: Callable[[dict[str, Any]], None],
    probe: Probe | None,
) -> Finished:
    """The first rank's run, with all that is written beside the checkpoints."""
    out = trainer.out
    _begin(task, trainer, say)
    with (
        tensorboard_writer(out, trainer.step + 1) as to_tensorboard,
        probing(probe, out, trainer.step, lambda: save_model(task, trainer), say) as probe_it,
    ):

        def after_step(record: dict[str, Any]) -> None:
            on_step(record)
            if to_tensorboard is not None:
                to_tensorboard(record)
            probe_it(record["step"])

        finished = trainer.run(after_step)
    _end(task, trainer, finished, say)
    return finished


def _begin(task: Pretraining, trainer: Trainer, say: Callable[[str], None]) -> None:
    """Say what is about to happen, and keep the config and a sheet of the first mini-batch."""
    config, out = task.config, trainer.out
    text = json.dumps(to_mapping(config), indent=2) + "\n"
    with writing(out / "config.json"):
        (out / "config.json").write_text(text, encoding="utf-8")
    n = sum(p.numel() for p in task.model.encoder.parameters())
    start = {"random": "random weights, not ImageNet's", "imagenet": "ImageNet weights"}
    say(
        f"{config.backbone} ({n / 1e6:.1f} M) from {start.get(config.init, config.init)}; "
        f"{len(task.pool)} photos in {task.pool.folder}; {config.batch.n} crops a mini-batch; "
        f"{task.device.type}, {'bf16' if task.autocast else 'fp32'}; "
        f"objective {config.objective['name']}; graphs: {', '.join(config.graphs.sources)}"
    )
    if trainer.step:
        say(f"resumed at step {trainer.step}")
        return
    batch = task.first_batch()
    with writing(out / "batch.png"):
        save_picture(batch_sheet(batch.crops, batch.metadata, config.batch), out / "batch.png")
    say(f"a mini-batch to look at: {out / 'batch.png'}")


def _end(
    task: Pretraining, trainer: Trainer, finished: Finished, say: Callable[[str], None]
) -> None:
    """Write the model folder and the pictures; say how the run ended."""
    out = trainer.out
    save_model(task, trainer)
    with writing(out / "losses.png"):
        pictures = plot_run(
            read_log(out / LOG),
            out,
            ("total", *task.model.terms),
            read_log(out / PROBES),
        )
    say(f"{finished.reason} at step {finished.step} after {finished.elapsed / 60:.1f} min")
    if finished.reason == "stopped":
        say("resume to go on")
    if finished.step and not pictures:
        say('no pictures of the curves: they need matplotlib (pip install "shamisa[plots]")')


def save_model(task: Pretraining, trainer: Trainer) -> Path:
    """Write the encoder so far as a model folder, ``out``/model."""
    config, trained, folder = task.config, task.model.encoder, trainer.out / "model"
    encoder = Encoder(trained.backbone, trained.preprocessing, config.pooling, config.statistics)
    facts = {
        "method": "SHAMISA pre-training (arXiv 2603.13669), no human scores",
        "steps": trainer.step,
        "crops": trainer.step * config.accumulate * config.batch.n,
        "photos": len(task.pool),
        "seconds": round(trainer.elapsed, 1),
        "device": task.device.type,
        "config": to_mapping(config),
    }
    model_config = ModelConfig(
        name=trainer.out.resolve().name,
        backbone=config.backbone,
        feature_size=encoder.feature_size,
        pooling=config.pooling,
        statistics=config.statistics,
        preprocessing=encoder.preprocessing,
        training=facts,
    )
    with writing(folder):
        save_encoder(folder, encoder, model_config)
    return folder
