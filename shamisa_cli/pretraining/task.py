"""Pre-training as a task for the training loop: degraded photos in, the graph-weighted loss out."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Generator, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from shamisa_cli.encoders.encoder import rates_by_layer
from shamisa_cli.encoders.precision import training_autocast
from shamisa_cli.errors import UsageError
from shamisa_cli.imaging.pool import PhotoPool
from shamisa_cli.pretraining.batches import MiniBatch, ReferenceBatches, distorted
from shamisa_cli.pretraining.config import PretrainConfig, crop_side
from shamisa_cli.pretraining.dynamics import gradient_norms, measure
from shamisa_cli.pretraining.model import PretrainLoss, PretrainModel
from shamisa_cli.settings import to_mapping
from shamisa_cli.training.feed import made_ahead
from shamisa_cli.training.parallel import Ranks, synchronized
from shamisa_cli.training.task import Task


class Pretraining(Task):
    """The model on its device, and the photos that it sees. State: the model."""

    model: PretrainModel

    def __init__(
        self,
        config: PretrainConfig,
        model: PretrainModel,
        pool: PhotoPool,
        device: torch.device,
        ranks: Ranks | None = None,
    ) -> None:
        self.config = config
        self.pool = pool
        self.device = device
        self.ranks = ranks or Ranks()
        self.model = model.to(device)
        encoder = self.model.encoder.to(memory_format=torch.channels_last)
        if self.ranks.world > 1 and device.type == "cuda":
            synchronized(encoder)
        self.autocast = training_autocast(config.precision, encoder, device)
        if config.compile:
            encoder.backbone.compile()
        self.examples = len(pool)
        # As published: the other references of a tiny-batch are companions (docs/method.md §5).
        self.batch_examples = config.batch.tiny_batches
        self.batch_crops = config.batch.n

    def batches(self, numbers: Iterator[tuple[int, float]]) -> Generator[MiniBatch, None, None]:
        """Mini-batches of this rank; on CUDA the engine runs in :meth:`loss`, else in workers."""
        share = self.ranks.share(self.config.batch.tiny_batches)
        on_device = self.device.type == "cuda"
        dataset = ReferenceBatches(self.pool, self.config, share, distort=not on_device)
        keys = ((number, crop_side(self.config.crop, progress)) for number, progress in numbers)
        workers = self.config.workers if self.config.workers is not None else 1
        return made_ahead(dataset, keys, workers, self.config.seed)

    def rates(self) -> dict[str, float]:
        shares = rates_by_layer(self.model.encoder.backbone, self.config.late_rate)
        return {f"encoder.backbone.{name}": share for name, share in shares.items()}

    def loss(self, model: nn.Module, batch: MiniBatch) -> PretrainLoss:
        batch = replace(batch, crops=batch.crops.to(self.device, non_blocking=True))
        if self.device.type == "cuda":
            batch = distorted(batch, self.config)
        crops = batch.crops.contiguous(memory_format=torch.channels_last)
        loss: PretrainLoss = model(crops, batch.metadata, self.ranks, self.autocast)
        step, place = divmod(batch.number, self.config.accumulate)
        if self._measures(step) and place == self.config.accumulate - 1:
            pulls = gradient_norms(loss.total, loss.terms, loss.z)  # backward will free the graph
            loss = replace(loss, pulls=pulls)
        return loss

    def _measures(self, before: int) -> bool:
        """Whether the step that comes after ``before`` others is measured."""
        return before % self.config.dynamics_every == 0

    def after_step(self, loss: PretrainLoss, step: int) -> dict[str, Any]:
        """Crop side, α, edges; and at times the dynamics, where collapse shows."""
        combined, names = loss.combined, loss.combined.names
        record: dict[str, Any] = {"crop": loss.side}
        record["alpha"] = dict(zip(names, combined.alpha.detach().tolist(), strict=True))
        for key, values in zip(("edges", "edge_weights"), combined.statistics.T, strict=True):
            record[key] = dict(zip(names, values.tolist(), strict=True))
        if self.model.objective.repulsion != "refused":
            apart = combined.repulsion
            record["repulsion"] = {
                "edges": apart.n_edges,
                "edge_weights": apart.weight.sum().item(),
            }
        if self._measures(step - 1):
            record |= measure(loss.h, loss.z, dict(zip(names, combined.graphs, strict=True)))
            record["gradients_z"] = dict(loss.pulls)
        return record

    def facts(self) -> dict[str, Any]:
        preprocessing = to_mapping(self.model.encoder.preprocessing)
        return {"preprocessing": preprocessing, "photos": photo_facts(self.pool)}

    def first_batch(self) -> MiniBatch:
        """The run's first mini-batch, with the engine's crops, for the sheet."""
        share = range(self.config.batch.tiny_batches)
        dataset = ReferenceBatches(self.pool, self.config, share, distort=True)
        return dataset[(0, crop_side(self.config.crop, 0.0))]


def photo_facts(pool: PhotoPool) -> dict[str, Any]:
    """Number of the photos, and SHA-256 (hexadecimal) of their paths below the pool's folder.

    The paths decide the order that photos come in, and their number the schedule; where the folder
    lies decides nothing.
    """
    names = sorted(os.fsencode(path.relative_to(pool.folder).as_posix()) for path in pool.paths)
    return {"count": len(names), "sha256": hashlib.sha256(b"\0".join(names)).hexdigest()}


def check_photos(pool: PhotoPool, then: dict[str, Any]) -> None:
    """Refuse to resume with other photos than those of ``then`` (:func:`photo_facts`)."""
    now = photo_facts(pool)
    if now == then:
        return
    other = "" if now["count"] != then["count"] else " of other names"
    raise UsageError(
        f"{pool.folder} holds {now['count']} photos, and this run began with {then['count']}"
        f"{other}: resume with the photos that it began with, or choose another out"
    )
