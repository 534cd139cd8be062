"""The encoders that fine-tuning over splits kept: each saw the training part of its split alone.

So heads over them show, on the test parts, what a head over an encoder that was fine-tuned on all
images is worth (:mod:`shamisa_cli.evaluation.apart`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from shamisa_cli.datasets.dataset import Dataset
from shamisa_cli.encoders.encoder import Encoder
from shamisa_cli.errors import UsageError
from shamisa_cli.evaluation.apart import Apart, join
from shamisa_cli.evaluation.datasets import evaluate_dataset, readable_splits
from shamisa_cli.evaluation.frozen_encoder import DatasetFeatures, FrozenEncoder, Skip
from shamisa_cli.evaluation.heads import judge_apart
from shamisa_cli.evaluation.splits import Split
from shamisa_cli.finetuning.same_run import read_facts
from shamisa_cli.finetuning.study import RESULT, read_outcome
from shamisa_cli.finetuning.watch import BEST, Watch
from shamisa_cli.ladders.heads import Judged, TaughtDataset, join_judged, judge_taught_apart
from shamisa_cli.models.config import SEEN_DIGITS


@dataclass(frozen=True, eq=False)
class SplitEncoder:
    """What fine-tuning kept on one split.

    Attributes
    ----------
    folder : of the split; the encoder is read when it is asked for.
    split : of the whole dataset.
    strength : of the linear probe's ridge, by which fine-tuning chose what to keep.
    facts : of the training: how many images could be read, and which of these it was of.
    ladders : digests of the photos whose ladders took part.
    """

    folder: Path
    split: Split
    strength: float
    facts: tuple[int, list[int]]
    ladders: frozenset[str]

    def load(self, like: Encoder) -> Encoder:
        """The encoder, which is one like ``like`` with other weights."""
        return Watch(self.folder, 0.0).kept(like)[0].eval()

    def check(self, found: DatasetFeatures) -> None:
        """Refuse an encoder of another split, or of other images."""
        (readable,) = readable_splits(found, [self.split])
        if self.facts != (len(found.dataset.images), readable.train.tolist()):
            raise UsageError(
                f"{self.folder}: was trained on another split, or on other images: give the "
                "dataset, --splits and --seed of that run"
            )


def split_encoders(run: Path, splits: Sequence[Split], like: Encoder) -> list[SplitEncoder]:
    """The encoders in the folder ``run`` of a study over ``splits``.

    All must be finished, and have the layers of the encoder ``like``.
    """
    found = [
        _split_encoder(run / "share-100" / f"split-{number:02d}", split)
        for number, split in enumerate(splits)
    ]
    for each in found:
        if not Watch(each.folder, 0.0).fits(like):
            raise UsageError(
                f"{each.folder}: has an encoder of other layers than the model; give the --model "
                "that shamisa finetune --all made from the same start"
            )
    return found


def _split_encoder(folder: Path, split: Split) -> SplitEncoder:
    outcome = read_outcome(folder / RESULT)
    if outcome is None or not (folder / BEST).is_file():
        raise UsageError(
            f"{folder}: holds no finished split; make as many by shamisa finetune --splits, "
            "without --all"
        )
    facts = read_facts(folder)
    ladders = frozenset(digest[:SEEN_DIGITS] for digest in facts["photos for ladders"])
    trained = facts["images"], facts["split"]["train"]
    return SplitEncoder(folder, split, outcome.strength, trained, ladders)


Teach = Callable[[FrozenEncoder, DatasetFeatures], TaughtDataset]
"""What else teaches heads of a dataset, by the features of one encoder."""


def judge_splits(
    encoders: Sequence[SplitEncoder],
    frozen: FrozenEncoder,
    dataset: Dataset,
    found: DatasetFeatures,
    skip: Skip,
    teach: Teach | None = None,
) -> tuple[Apart, Judged | None]:
    """Heads over ``encoders``, each on the test part of its split.

    First those of human scores alone. Their ridge has the strength by which fine-tuning chose the
    encoders: chosen anew by so few validation photos it does worse (on one split of LIVE In the
    Wild 0.818 instead of 0.852). Then those with lessons, if there are any.

    Parameters
    ----------
    frozen : how photos are looked at; its cache, if any, keeps the features of each encoder.
    dataset, found : all of it, and what of it can be read.
    """
    for each in encoders:
        each.check(found)
    plain: list[Apart] = []
    taught: list[Judged] = []
    for each in encoders:
        tuned = frozen.with_encoder(each.load(frozen.encoder), keep=True)
        own = tuned.dataset(dataset, skip)
        strength = torch.tensor([each.strength], dtype=torch.float64)
        result = evaluate_dataset(frozen.name, own, [each.split], strength)
        plain.append(judge_apart(result, own.features))
        if teach:
            taught.append(judge_taught_apart(teach(tuned, own), result))
    usual = float(np.median([each.strength for each in encoders]))
    return join(plain, usual), join_judged(taught) if taught else None
