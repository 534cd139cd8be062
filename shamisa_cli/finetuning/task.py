"""Fine-tuning as a task for the training loop: labeled photos in, the loss by their scores out."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from shamisa_cli.encoders.halves import Early
from shamisa_cli.encoders.precision import training_autocast
from shamisa_cli.finetuning.config import FinetuneConfig
from shamisa_cli.finetuning.contrast import photos_of
from shamisa_cli.finetuning.kept import Kept, Looked, looked
from shamisa_cli.finetuning.ladders import LadderViews, Rungs, order_loss
from shamisa_cli.finetuning.model import CrossFit, FinetuneModel, regression_loss
from shamisa_cli.finetuning.views import LabeledViews, Together, Turned, TurnedViews, Views
from shamisa_cli.seeds import generator
from shamisa_cli.training.feed import made_ahead
from shamisa_cli.training.task import Loss, Task

Batch = Sequence[Views | Rungs | Turned]
"""Labeled photos, and ladders where they take part; and what a teacher sees."""

PLACES = 22
"""The random stream of places."""


class Finetuning(Task):
    """The model on its device, and the training part. State: the model.

    Parameters
    ----------
    config : of the run.
    model : the encoder and its heads.
    heads : which head judges which image.
    views : of the training part.
    targets : (n, T) of the whole dataset; those of the training part are read, no others.
    device : where the model is trained.
    ladders : that take part, if any do.
    gap : by which a step of a ladder should lower a standard score.
    kept : what comes out of its first layers, if they can be had apart.
    turned : the photos of each mini-batch as a teacher sees them, where the model has a contrast.
    """

    model: FinetuneModel

    def __init__(
        self,
        config: FinetuneConfig,
        model: FinetuneModel,
        heads: CrossFit,
        views: LabeledViews,
        targets: Tensor,
        device: torch.device,
        ladders: LadderViews | None = None,
        gap: float = 0.0,
        kept: Kept | None = None,
        turned: LabeledViews | None = None,
    ) -> None:
        self.config = config
        self.device = device
        self.model = model.to(device)
        self.model.encoder.to(memory_format=torch.channels_last)
        self.views = views
        self.ladders = ladders
        self.gap = gap
        self.kept = kept
        self.turned = turned
        self.targets = torch.full(targets.shape, torch.nan, dtype=torch.float32)
        self.targets[views.train] = heads.standard(targets[views.train])
        self.fold = heads.fold
        self.autocast = training_autocast(config.precision, self.model.encoder, device)
        self.examples = len(views.train)
        self.batch_examples = self.batch_crops = config.images

    def batches(self, numbers: Iterator[tuple[int, float]]) -> Generator[Batch, None, None]:
        workers = self.config.workers if self.config.workers is not None else 1
        keys = (number for number, _ in numbers)
        turned = None if self.turned is None else TurnedViews(self.turned)
        parts = (self.views, self.ladders, turned)
        data = Together([part for part in parts if part is not None])
        return made_ahead(data, keys, workers, self.config.seed)

    def loss(self, model: nn.Module, batch: Batch) -> Loss:
        labeled = looked(self.kept, [views for views in batch if isinstance(views, Views)])
        ladders = [rungs for rungs in batch if isinstance(rungs, Rungs)]
        turned = [each for each in batch if isinstance(each, Turned)]
        found = [self._predict(model, crops, self.fold[images]) for crops, images in labeled]
        wanted = self.targets[torch.cat([images for _, images in labeled])].to(self.device)
        total = regression_loss(torch.cat(found), wanted)
        terms = {"regression": total.detach()}
        if ladders:
            head = torch.tensor(self.model.mean_head)
            levels = [
                self._predict(model, rungs.pixels, head.expand(len(rungs.pixels[0])))[:, 0]
                for rungs in ladders
            ]
            order = order_loss(torch.stack(levels), self.gap)
            total = total + self.config.ladder_weight * order
            terms["ladder"] = order.detach()
        for each in turned:
            contrast = self._contrast(labeled, each)
            total = total + self.config.contrast.weight * contrast
            terms["contrast"] = contrast.detach()
        if not bool(torch.isfinite(total)):
            raise FloatingPointError("the loss is not finite")
        return Loss(total, terms)

    def _predict(self, model: nn.Module, crops: Sequence[Tensor | Early], heads: Tensor) -> Tensor:
        """(n, T) standard targets, float32, of crops at each scale by the heads (n,)."""
        with torch.autocast(self.device.type, self.autocast, enabled=self.autocast is not None):
            there = [scale.to(self.device) for scale in crops]
            return model(there, heads.to(self.device)).float()

    def _contrast(self, labeled: Sequence[Looked], turned: Turned) -> Tensor:
        """Of places of the photos ``labeled``; the teacher sees them ``turned``."""
        assert self.model.contrast is not None
        photos = photos_of(labeled, looked(self.kept, turned.views, turned=True), self.device)
        seed, number = self.config.seed, turned.number
        with torch.autocast(self.device.type, self.autocast, enabled=self.autocast is not None):
            nodes = self.model.contrast.nodes(
                self.model.encoder, photos, lambda image: generator(seed, PLACES, number, image)
            )
        return self.model.contrast(nodes)

    def way_out(self, saved: int) -> str:
        way = "Begin in another out with a lower lr"
        return f"{way}, or resume from step {saved} with precision fp32" if saved else way

    def after_step(self, loss: Any, step: int) -> dict[str, Any]:
        if self.model.contrast is not None:
            self.model.contrast.update(self.model.encoder)
        return {}
