"""Everything that decides a fine-tuning run; TOML, options and checkpoints use these names."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from shamisa_cli.finetuning.saliency import Saliency
from shamisa_cli.settings import from_mapping, merge, read_toml
from shamisa_cli.training.config import (
    OptimizerConfig,
    ScheduleConfig,
    TrainingConfig,
    check_range,
)

EPOCHS = 6.0
"""Passes over the training part, where nothing else says how long a run is."""


@dataclass(frozen=True)
class ContrastConfig:
    """The contrast of places that method ``lml`` adds to the loss of the human scores.

    Attributes
    ----------
    weight : λ, what it counts beside that loss; 0 leaves it out.
    temperature : τ > 0.
    places : random places of each photo, beside the most salient one.
    side : of a place, px of the photo as the model sees it; less where the photo is smaller.
    max_overlap : of a random place with the most salient one, intersection over union.
    saliency : what says where people look.
    pick : the most salient place is the ``best`` of the whole photo; or of those that are
        ``sampled`` at random, ``places`` and one, as the first version of LML-IQA is read.
    anchor : who sees the most salient place as the anchor; the other sees it as the positive.
        ``every`` makes an anchor of each of the student's places: for sources that join them all.
    momentum : of the teacher, a moving average of the student; at 0 it is the student. None
        makes its memory a tenth of the run.
    hidden, out : sizes of the projector.
    sources : graph sources by name, each with its options, for crops of labeled photos.
    """

    weight: float = 0.1
    temperature: float = 0.2
    places: int = 3
    side: int = 224
    max_overlap: float = 0.5
    saliency: Saliency = "activation"
    pick: Literal["best", "sampled"] = "best"
    anchor: Literal["teacher", "student", "every"] = "teacher"
    momentum: float | None = None
    hidden: int = 512
    out: int = 128
    sources: dict[str, dict[str, Any]] = field(
        default_factory=lambda: {
            name: {} for name in ("salient_pair", "same_image_apart", "other_image_apart")
        }
    )

    def __post_init__(self) -> None:
        check_range(self, 0, "weight", "momentum")
        check_range(self, 0, "max_overlap", most=1)
        check_range(self, 0, "temperature", above=True)
        check_range(self, 1, "places", "hidden", "out")
        check_range(self, 32, "side")
        if self.momentum is not None and self.momentum >= 1:
            raise ValueError(f"momentum must be below 1, got {self.momentum}")


@dataclass(frozen=True)
class FinetuneConfig(TrainingConfig):
    """One fine-tuning run.

    Attributes
    ----------
    method : ``regress`` learns from human scores alone; ``lml`` contrasts places of photos beside,
        after LML-IQA (an experiment, see docs/finetuning.md).
    images : of a mini-batch.
    crop : side in px of random crops to train on; None is what the model itself looks at, a random
        place instead of five where it looks at five.
    trained : share of the backbone's layers that is trained, counted from the last; the layers
        before are as they were.
    kinds : beside the score, learn which kind of damage an image has, and how strong it is; the
        dataset names both.
    folds : of the heads that judge the training part, see
        :class:`~shamisa_cli.finetuning.model.CrossFit`.
    keep_mb : megabytes for what comes out of the layers that are not trained, see
        :class:`~shamisa_cli.finetuning.kept.Kept`; results do not depend on it.
    ladders : of a mini-batch, where ladders take part; each is five pictures.
    ladder_weight : what their loss counts beside that of the scores; 0 leaves them out.
    ladder_gap : by which a step of a ladder should lower the score, in percent of the score range.
    checks : looks at the validation part during a run, evenly spread, beside the one at the start.
    """

    method: Literal["regress", "lml"] = "regress"
    images: int = 8
    crop: int | None = None
    trained: float = 0.3
    kinds: bool = False
    folds: int = 5
    keep_mb: float = 1500.0
    checks: int = 2
    ladders: int = 1
    ladder_weight: float = 1.0
    ladder_gap: float = 5.0
    contrast: ContrastConfig = field(default_factory=ContrastConfig)
    optimizer: OptimizerConfig = field(
        default_factory=lambda: OptimizerConfig("adamw", 4e-4, weight_decay=0.02, clip_norm=1.0)
    )
    schedule: ScheduleConfig = field(
        default_factory=lambda: ScheduleConfig("cosine", warmup_steps=10)
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, 1, "images", "checks", "ladders")
        check_range(self, 0, "ladder_weight", "ladder_gap")
        check_range(self, 2, "folds")
        check_range(self, 32, "crop")
        check_range(self, 0, "trained", above=True, most=1)
        check_range(self, 0, "keep_mb", most=math.inf)
        if self.contrasts and self.crop is not None:
            raise ValueError("method lml chooses places of whole photos: leave crop out")

    @property
    def contrasts(self) -> bool:
        """Whether places are contrasted."""
        return self.method == "lml" and self.contrast.weight > 0


def resolve(config_file: Path | None, options: Mapping[str, Any]) -> FinetuneConfig:
    """The config of a run: the file, then ``options`` over it; those of None are not given.

    ``lr`` among the options is that of the optimizer, ``saliency`` that of the contrast. A run that
    nothing limits has :data:`EPOCHS`.
    """
    given = {key: value for key, value in options.items() if value is not None}
    if "lr" in given:
        given["optimizer"] = {"lr": given.pop("lr")}
    if "saliency" in given:
        given["contrast"] = {"saliency": given.pop("saliency")}
    defaults = {
        "contrast": vars(ContrastConfig()),
        "optimizer": vars(FinetuneConfig().optimizer),
        "schedule": vars(FinetuneConfig().schedule),
    }
    merged = merge(merge(defaults, read_toml(config_file) if config_file else {}), given)
    if not any(merged.get(key) is not None for key in ("steps", "epochs", "budget")):
        merged["epochs"] = EPOCHS
    return from_mapping(FinetuneConfig, merged, "the configuration")
