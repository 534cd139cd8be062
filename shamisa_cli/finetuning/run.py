"""Fine-tuning on one split: from the linear probe, and never worse than it on the validation part.

The head is always the ridge solution on the training part's features: at the start that *is* the
linear probe, and its strength stays. (Chosen anew at each look, it followed the few validation
photos: on one split it rose from 11 to 81, and the test SRCC fell from 0.831 to 0.818.) The state
with the best validation SRCC is kept, the start among them. Where ladders take part, their share in
order counts beside it, on photos that are not learnt from. The test part is looked at once.

That SRCC is the mean over strengths around the probe's. At the probe's own strength the start has
an advantage that is luck: it is the best of a hundred on these very photos.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from shamisa_cli.encoders.encoder import Encoder
from shamisa_cli.encoders.precision import choose_device
from shamisa_cli.errors import StoppedError
from shamisa_cli.evaluation.evaluate import STRENGTHS, SplitResult, evaluate, validation_srcc
from shamisa_cli.evaluation.frozen_encoder import DatasetFeatures, FrozenEncoder, stop_at
from shamisa_cli.evaluation.measures import measure_all
from shamisa_cli.evaluation.ridge import crop_rows, fit_ridge, image_features, ridge_path
from shamisa_cli.evaluation.splits import Split
from shamisa_cli.finetuning.config import FinetuneConfig
from shamisa_cli.finetuning.contrasted import make_contrast
from shamisa_cli.finetuning.kept import Kept, keep_early, views_of
from shamisa_cli.finetuning.ladders import LadderPart, LadderViews
from shamisa_cli.finetuning.model import FinetuneModel, cross_fit
from shamisa_cli.finetuning.plots import plot_training
from shamisa_cli.finetuning.same_run import begin, run_facts
from shamisa_cli.finetuning.targets import targets_of
from shamisa_cli.finetuning.task import Finetuning
from shamisa_cli.finetuning.views import LabeledViews
from shamisa_cli.finetuning.watch import Check, Watch
from shamisa_cli.training.checkpoint import checkpoints, load_checkpoint
from shamisa_cli.training.log import alone_in
from shamisa_cli.training.loop import Trainer


@dataclass(frozen=True, eq=False)
class Finetuned:
    """What fine-tuning on one split came to.

    Attributes
    ----------
    probe : the linear probe on this split, where fine-tuning started.
    checks : looks at the validation part, the start first.
    best : the step whose state was kept; 0 is the start.
    measures : of the kept state on the test part, by name.
    predictions : (t,) float64, its predictions there.
    encoder, fit : the kept state: the encoder, and (w, b) of its head.
    """

    probe: SplitResult
    checks: list[Check]
    best: int
    measures: dict[str, float]
    predictions: np.ndarray
    encoder: Encoder
    fit: tuple[Tensor, float]


def finetune_split(
    frozen: FrozenEncoder,
    found: DatasetFeatures,
    split: Split,
    config: FinetuneConfig,
    out: Path,
    on_step: Callable[[dict[str, Any]], None] = lambda record: None,
    ladders: LadderPart | None = None,
    kept: Kept | None = None,
) -> Finetuned:
    """Fine-tune on one split; a StoppedError if a signal stopped it: it can be resumed.

    A UsageError if another run is in ``out``.

    Parameters
    ----------
    frozen : the encoder to start from, and how it looks at photos.
    found : its features of the dataset.
    split : of the images that could be read.
    config : of the run.
    out : folder for checkpoints, log and the best state; a run in it is resumed.
    on_step : gets the log record of each step.
    ladders : that take part, unless they weigh nothing.
    kept : by :func:`~shamisa_cli.finetuning.kept.keep_early`, if several runs share it.
    """
    begin(out, run_facts(frozen, found, split, config, ladders))
    scores = found.dataset.scores
    probe = evaluate(found.features, scores, [split])[0]
    fit = fit_ridge(found.features[split.train], scores[split.train], probe.strength)
    if not config.ladder_weight:
        ladders = None
    order = ladders.in_order(None, fit[0]) if ladders else None
    watch = Watch(out, agreement(probe.validation, probe.strength), order)
    if config.epochs != 0:
        kept = kept or keep_early(frozen, found, config)
        photos = ladders.train if ladders else ()
        task = make_task(frozen, found, split, config, probe.strength, photos, kept)
        with alone_in(out):
            _train(task, watch, frozen, found, split, probe.strength, on_step, ladders)
        plot_training(out, watch.checks)
    if watch.best.step == 0:
        watch.keep(frozen.encoder, fit)
        return Finetuned(
            probe, watch.checks, 0, probe.measures, probe.predictions, frozen.encoder, fit
        )
    encoder, fit = watch.kept(frozen.encoder)
    predictions = predict(frozen.with_encoder(encoder), found, split.test, fit)
    measures = measure_all(predictions, scores[split.test].double().numpy())
    best = watch.best.step
    return Finetuned(probe, watch.checks, best, measures, predictions, encoder, fit)


def make_task(
    frozen: FrozenEncoder,
    found: DatasetFeatures,
    split: Split,
    config: FinetuneConfig,
    strength: float,
    ladders: Sequence[Path] = (),
    kept: Kept | None = None,
) -> Finetuning:
    """What is trained on a split, from its linear probe of a ridge ``strength``."""
    info, targets = found.dataset.info, targets_of(found.dataset, kinds=config.kinds)
    heads = cross_fit(
        found.features,
        targets,
        split.train,
        strength,
        config.folds,
        config.seed,
        found.dataset.references,
    )
    contrast = make_contrast(frozen, found, split.train, config, kept.joint if kept else None)
    model = FinetuneModel(frozen.encoder, heads, config.trained, contrast)
    protocol = frozen.protocol_for(info.short_side)
    known = kept.fill(views_of(split)) if kept else frozenset()
    look = partial(LabeledViews, found.dataset.images, split.train, protocol, config, known)
    views, turned = look(), look(turned=True) if contrast else None
    device = choose_device(config.device)
    if not ladders:
        return Finetuning(config, model, heads, views, targets, device, kept=kept, turned=turned)
    rungs = LadderViews(ladders, frozen.protocol, config)
    low, high = info.score_range
    gap = config.ladder_gap / 100 * (high - low) / heads.deviation
    return Finetuning(config, model, heads, views, targets, device, rungs, gap, kept, turned)


def _train(
    task: Finetuning,
    watch: Watch,
    frozen: FrozenEncoder,
    found: DatasetFeatures,
    split: Split,
    strength: float,
    on_step: Callable[[dict[str, Any]], None],
    ladders: LadderPart | None,
) -> None:
    """Train to the end, with looks at the validation part, and at ladders that choose."""
    saved = checkpoints(watch.out / "checkpoints")
    checkpoint = load_checkpoint(saved[-1]) if saved else None
    trainer = Trainer(task, task.config, watch.out, checkpoint=checkpoint)
    watch.resume(trainer.step)
    scores = found.dataset.scores

    def after_step(record: dict[str, Any]) -> None:
        on_step(record)
        if record["progress"] * task.config.checks < len(watch.checks):
            return
        encoder = rounded(task.model.encoder)
        tuned = frozen.with_encoder(encoder)
        parts = split.train, split.val
        both = torch.cat(parts)
        kept = task.kept
        seen = kept.features_of(tuned, both) if kept else features_of(tuned, found, both)
        train, validation = seen.split([len(part) for part in parts])
        path = ridge_path(*crop_rows(train, scores[split.train]))
        value = agreement(validation_srcc(path, validation, scores[split.val]), strength)
        fit = path.solution(strength)
        order = ladders.in_order(tuned, fit[0]) if ladders else None
        watch.look(Check(trainer.step, value, order), encoder, fit)
        trainer.save()

    finished = trainer.run(after_step)
    if finished.signal:
        raise StoppedError(finished.signal)


def agreement(validation: np.ndarray, strength: float) -> float:
    """Mean of the validation SRCC (S,) over the strengths within a factor of ten of ``strength``.

    ``validation`` is of :data:`~shamisa_cli.evaluation.evaluate.STRENGTHS`; -2 where undefined.
    """
    strengths = STRENGTHS.numpy()
    around = (strengths >= strength / 10) & (strengths <= strength * 10)
    return float(np.nan_to_num(validation[around], nan=-2.0).mean())


def rounded(encoder: Encoder) -> Encoder:
    """A copy of ``encoder`` in evaluation, with weights as a model folder stores them (float16)."""
    made = copy.deepcopy(encoder).cpu().eval()
    for values in (*made.backbone.parameters(), *made.backbone.buffers()):
        if values.is_floating_point():
            values.data = values.data.half().float()
    return made


def features_of(tuned: FrozenEncoder, found: DatasetFeatures, images: Tensor) -> Tensor:
    """(n, K, F) features of ``images`` (n,) by another encoder."""
    paths = [found.dataset.images[i] for i in images.tolist()]
    return tuned.features(paths, stop_at, found.dataset.info.short_side)[1]


def predict(
    tuned: FrozenEncoder, found: DatasetFeatures, images: Tensor, fit: tuple[Tensor, float]
) -> np.ndarray:
    """(n,) float64 predictions of ``images`` (n,) by another encoder and its head (w, b)."""
    w, b = fit
    return (image_features(features_of(tuned, found, images)) @ w + b).numpy()
