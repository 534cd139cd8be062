"""The training loop, top to bottom: feed, step, log, checkpoint, stop."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from shamisa_cli.encoders.precision import has_fast_bf16
from shamisa_cli.errors import ShamisaError
from shamisa_cli.imaging.pool import PhotoPool
from shamisa_cli.pretraining.batches import (
    MiniBatch,
    ReferenceBatches,
    distorted,
    mini_batches,
)
from shamisa_cli.pretraining.config import PretrainConfig
from shamisa_cli.pretraining.diagnostics import effective_rank, spread
from shamisa_cli.pretraining.initial import encoder_facts
from shamisa_cli.pretraining.model import PretrainModel, Step, forward_loss, make_model
from shamisa_cli.pretraining.objective import LossTerms
from shamisa_cli.settings import to_mapping
from shamisa_cli.training.checkpoint import Checkpoint, save_checkpoint
from shamisa_cli.training.log import RunLog
from shamisa_cli.training.optimizer import make_optimizer
from shamisa_cli.training.parallel import Ranks, agree, sum_gradients, synchronized
from shamisa_cli.training.schedule import (
    Position,
    crop_side,
    learning_rate,
    parse_crop,
    parse_duration,
)
from shamisa_cli.training.stopping import StopRequest

RANK_EVERY = 50
"""Steps between two measurements of the ranks of h and z (an SVD each)."""


@dataclass(frozen=True)
class Finished:
    """How a run ended: ``complete``, or ``stopped`` by a signal (it can be resumed)."""

    reason: str
    step: int
    elapsed: float


class Trainer:
    """State of a run: model, optimizer, and how far it is.

    With ``checkpoint`` it goes on from there as if it had not stopped. ``photos`` are the
    :func:`~shamisa_cli.pretraining.photos.photo_facts` of the pool, for the checkpoints to come.
    """

    def __init__(
        self,
        config: PretrainConfig,
        pool: PhotoPool,
        out: Path,
        device: torch.device,
        ranks: Ranks | None = None,
        save_every: int = 250,
        checkpoint: Checkpoint | None = None,
        photos: dict[str, Any] | None = None,
    ) -> None:
        self.config = config
        self.pool = pool
        self.photos = photos
        self.out = out
        self.device = device
        self.ranks = ranks or Ranks()
        self.save_every = save_every
        self.model: PretrainModel = make_model(config, checkpoint).to(device)
        self.model.encoder.to(memory_format=torch.channels_last)
        if self.ranks.world > 1 and device.type == "cuda":
            synchronized(self.model.encoder)
        if config.compile:
            self.model.encoder.backbone.compile()
        self.optimizer = make_optimizer(self.model, config.optimizer)
        wants_bf16 = config.precision == "auto" and has_fast_bf16(device)
        self.autocast = torch.bfloat16 if wants_bf16 or config.precision == "bf16" else None
        self.step = self.saved = 0
        self.elapsed = 0.0
        if checkpoint is not None:
            self._restore(checkpoint)

    @property
    def photos_per_step(self) -> int:
        """Reference photos that one optimizer step uses."""
        batch = self.config.batch
        return batch.tiny_batches * batch.references * self.config.accumulate

    @property
    def total_steps(self) -> int | None:
        """Steps of the whole run; None under a wall-clock budget."""
        if self.config.budget is not None:
            return None
        if self.config.steps is not None:
            return self.config.steps
        epochs = self.config.epochs if self.config.epochs is not None else 1.0
        return max(1, round(epochs * len(self.pool) / self.photos_per_step))

    def position(self, step: int) -> Position:
        """Where the run stands before optimizer step ``step``."""
        total = self.total_steps
        if total is None:
            assert self.config.budget is not None
            progress = self.elapsed / parse_duration(self.config.budget)
        else:
            progress = step / total
        return Position(step, step * self.photos_per_step / len(self.pool), min(progress, 1.0))

    def _restore(self, checkpoint: Checkpoint) -> None:
        self.model.load_state_dict(checkpoint.model)
        self.optimizer.load_state_dict(checkpoint.optimizer)
        self.step, self.elapsed = checkpoint.step, checkpoint.elapsed
        self.saved = checkpoint.step

    def save(self) -> Path | None:
        """Write a checkpoint (first rank only), unless the last update spoilt the weights."""
        if not all(bool(tensor.isfinite().all()) for tensor in self.model.state_dict().values()):
            raise self._not_finite("the weights are not finite", self.step)
        self.saved = self.step
        if not self.ranks.is_first:
            return None
        state = Checkpoint(
            self.step,
            self.elapsed,
            to_mapping(self.config),
            self.model.state_dict(),
            self.optimizer.state_dict(),
            encoder_facts(self.model.encoder),
            self.photos,
        )
        return save_checkpoint(self.out / "checkpoints", state)

    def run(self, on_step: Callable[[dict[str, Any]], None] | None = None) -> Finished:
        """Train to the end of the run, or until a signal asks to stop.

        ``on_step`` gets each step's log record. The feed, when it uses processes, starts here.
        """
        log = RunLog(self.out / "log.jsonl", self.step) if self.ranks.is_first else None
        self.model.train()
        with closing(self._feed()) as feed, StopRequest() as stop:
            while not self._is_over():
                if agree(float(stop.requested), self.ranks):
                    self.save()
                    return Finished("stopped", self.step, self.elapsed)
                started = time.perf_counter()
                record = self._step(feed)
                self.step += 1
                self.elapsed += agree(time.perf_counter() - started, self.ranks)
                record["crops_per_s"] = (
                    self.config.batch.n * self.config.accumulate / (time.perf_counter() - started)
                )
                if log is not None:
                    log.write({"step": self.step, "elapsed": self.elapsed, **record})
                if on_step is not None:
                    on_step({"step": self.step, **record, **self._ahead()})
                if self.step % self.save_every == 0:
                    self.save()
        self.save()
        return Finished("complete", self.step, self.elapsed)

    def first_batch(self) -> MiniBatch:
        """The run's first mini-batch, with the engine's crops, for the sheet."""
        dataset = ReferenceBatches(
            self.pool, self.config, range(self.config.batch.tiny_batches), distort=True
        )
        return dataset[(0, crop_side(parse_crop(self.config.crop), 0.0))]

    def _is_over(self) -> bool:
        total = self.total_steps
        return self.step >= total if total is not None else self.position(self.step).progress >= 1.0

    def _ahead(self) -> dict[str, Any]:
        progress = self.position(self.step).progress
        return {"progress": progress, "total_steps": self.total_steps}

    def _feed(self) -> Generator[MiniBatch, None, None]:
        """Mini-batches from the current step on; on CUDA the engine runs there, else here."""
        dataset = ReferenceBatches(
            self.pool,
            self.config,
            self.ranks.share(self.config.batch.tiny_batches),
            distort=self.device.type != "cuda",
        )
        workers = self.config.workers if self.config.workers is not None else 1
        return mini_batches(dataset, self._keys(), workers)

    def _keys(self) -> Iterator[tuple[int, int]]:
        stages = parse_crop(self.config.crop)
        number = self.step * self.config.accumulate
        while True:
            side = crop_side(stages, self.position(number // self.config.accumulate).progress)
            yield number, side
            number += 1

    def _step(self, feed: Iterator[MiniBatch]) -> dict[str, Any]:
        """One optimizer step over ``accumulate`` mini-batches; the record for the log."""
        schedule = to_mapping(self.config.schedule)
        rate = learning_rate(self.position(self.step), lr=self.config.optimizer.lr, **schedule)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        for k in range(self.config.accumulate):
            number = self.step * self.config.accumulate + k
            batch = next(feed)
            crops = batch.crops.to(self.device, non_blocking=True)
            if self.device.type == "cuda":
                crops = distorted(replace(batch, crops=crops), self.config, number).crops
            crops = crops.contiguous(memory_format=torch.channels_last)
            try:
                made = forward_loss(
                    self.model, crops, batch.metadata, self.config, self.ranks, self.autocast
                )
            except FloatingPointError as error:
                raise self._not_finite(str(error), self.step + 1) from error
            (made.loss.total / self.config.accumulate).backward()
        sum_gradients(self.model.own_parameters(), self.ranks)
        if self.config.optimizer.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.config.optimizer.clip_norm)
        self.optimizer.step()
        return self._record(made, crops.shape[-1], rate)

    def _not_finite(self, what: str, step: int) -> ShamisaError:
        """What stops a run that diverged, and how to go on."""
        start = "There is no checkpoint yet: begin again with"
        if self.saved:
            start = f"The last good checkpoint is of step {self.saved}: go on with --resume and"
        return ShamisaError(
            f"{what} at step {step}. {start} a lower --lr, --precision fp32, or "
            "optimizer.clip_norm in the config"
        )

    def _record(self, made: Step, side: int, rate: float) -> dict[str, Any]:
        record: dict[str, Any] = {"lr": rate, "crop": side, **_floats(made.loss)}
        record["alpha"] = dict(
            zip(made.combined.names, made.combined.alpha.detach().tolist(), strict=True)
        )
        for key, column in (("edges", 0), ("edge_weights", 1)):
            values = made.combined.statistics[:, column].tolist()
            record[key] = dict(zip(made.combined.names, values, strict=True))
        if self.step % RANK_EVERY == 0:
            record["rank_h"], record["rank_z"] = effective_rank(made.h), effective_rank(made.z)
            record["spread_h"], record["spread_z"] = spread(made.h), spread(made.z)
        return record


def _floats(loss: LossTerms) -> dict[str, float]:
    return {f.name: getattr(loss, f.name).item() for f in fields(loss)}
