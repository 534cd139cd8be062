"""Fine-tuning on all images of a dataset: a model folder with its head."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from shamisa_cli.evaluation.datasets import DatasetResult
from shamisa_cli.evaluation.frozen_encoder import DatasetFeatures, FrozenEncoder
from shamisa_cli.evaluation.heads import make_head
from shamisa_cli.evaluation.seen import seen_digest
from shamisa_cli.evaluation.splits import Split, random_splits
from shamisa_cli.finetuning.config import FinetuneConfig
from shamisa_cli.finetuning.judges import Both, Judges, in_order_line
from shamisa_cli.finetuning.ladders import LadderPart
from shamisa_cli.finetuning.run import Finetuned, finetune_split
from shamisa_cli.models.config import ModelConfig
from shamisa_cli.models.heads import save_head
from shamisa_cli.models.store import encoder_digest, save_encoder
from shamisa_cli.settings import to_mapping
from shamisa_cli.training.checkpoint import writing


def finetune_whole(
    frozen: FrozenEncoder,
    start: ModelConfig,
    found: DatasetFeatures,
    config: FinetuneConfig,
    out: Path,
    on_step: Callable[[dict[str, Any]], None] = lambda record: None,
    ladders: LadderPart | None = None,
    say: Callable[[str], None] = lambda message: None,
) -> Path:
    """Fine-tune on all images but a validation part; the folder of the model, ``out``/model.

    The validation part, a tenth, chooses the state that is kept. There is no test part: how good
    such a model is, :func:`~shamisa_cli.finetuning.study.finetune_splits` says. A
    StoppedError if a signal stopped the run.

    Parameters
    ----------
    frozen, start : the encoder to start from, and its model's config.
    found : its features of the dataset.
    ladders : that take part; figures of those held out are in the config and in the head.
    say : hears these figures.
    """
    split, judges = whole_split(found, config.seed), Judges((), ladders)
    made = finetune_split(frozen, found, split, config, out, on_step, ladders)
    on_ladders = judges.on_ladders(made, frozen, found, split)
    if ladders is not None and on_ladders is not None:
        say(in_order_line([on_ladders], ladders))
    taught = ladders.train if ladders and config.ladder_weight else ()
    photos = *found.dataset.images, *taught
    seen = dict.fromkeys((*start.seen, *map(seen_digest, photos)))
    start = dataclasses.replace(start, seen=tuple(seen))
    return save_model(made, start, found, split, config, out, on_ladders)


def whole_split(found: DatasetFeatures, seed: int) -> Split:
    """All images but a tenth for training, and that tenth in place of a test part."""
    split = random_splits(found.dataset.references, 1, seed)[0]
    inside = sorted({*split.train.tolist(), *split.test.tolist()})
    return Split(split.train.new_tensor(inside), split.val, split.val)


def save_model(
    made: Finetuned,
    start: ModelConfig,
    found: DatasetFeatures,
    split: Split,
    config: FinetuneConfig,
    out: Path,
    ladders: Both | None = None,
) -> Path:
    """Write the kept state as ``out``/model, with a head that has the dataset's name."""
    dataset, folder = found.dataset, out / "model"
    name = dataset.info.name
    facts: dict[str, Any] = {
        "method": f"fine-tuned ({config.method})",
        "start": start.name,
        "dataset": name,
        "images": len(dataset.images),
        "validation_agreement": next(each.srcc for each in made.checks if each.step == made.best),
        "kept_step": made.best,
        "config": to_mapping(config),
    }
    model = dataclasses.replace(start, name=out.resolve().name, default_head=name, training=facts)
    result = DatasetResult(start.name, dataset, [split], [], made.probe.strength, found.left_out)
    note = "fine-tuned together with the encoder; no figures, as no image was left out"
    metrics = {}
    if ladders is not None:
        facts["ladders"] = dataclasses.asdict(ladders)
        metrics = {f"ladder_{key}": value for key, value in ladders.tuned.items()}
        note += "; its ladders are of photos that were left out"
    head = make_head(name, result, made.fit, metrics, note)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        save_encoder(folder, made.encoder, model)
    info = dataclasses.replace(head.info, encoder=encoder_digest(folder, model))
    save_head(folder, dataclasses.replace(head, info=info), overwrite=True)
    return folder
