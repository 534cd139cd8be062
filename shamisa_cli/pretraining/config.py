"""Everything that decides a pre-training run; TOML, options and checkpoints use these names."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from shamisa_cli.distortions.layout import BatchLayout
from shamisa_cli.encoders.backbones import DEFAULT_BACKBONE
from shamisa_cli.encoders.config import Pooling, Statistics
from shamisa_cli.imaging.pool import VIEWS
from shamisa_cli.pretraining.objective import ObjectiveWeights
from shamisa_cli.training.schedule import parse_crop, parse_duration


def _check_range(config: Any, low: float, *names: str, above: bool = False) -> None:
    """Refuse values under ``low`` (with ``above``: at it, too); None is let through."""
    for name in names:
        value = getattr(config, name)
        # written so that NaN, which is neither, is refused
        if value is not None and not (value > low if above else value >= low):
            bound = f"above {low}" if above else f"at least {low}"
            raise ValueError(f"{name} must be {bound}, got {value}")


@dataclass(frozen=True)
class ProjectorConfig:
    """Sizes of the projector (method.md §3).

    ``batch_norm`` puts batch normalization before and inside it: ``auto`` does so exactly when
    training starts from random weights, where the published projector collapses (method.md §5).
    """

    hidden: int = 3072
    out: int = 768
    batch_norm: Literal["auto", "on", "off"] = "auto"

    def __post_init__(self) -> None:
        _check_range(self, 1, "hidden", "out")


@dataclass(frozen=True)
class OptimiserConfig:
    """Published: SGD, 1.5e-3, momentum 0.9, weight decay 1e-4 (method.md §5)."""

    name: Literal["sgd", "adamw", "lars"] = "sgd"
    lr: float = 1.5e-3
    momentum: float = 0.9
    weight_decay: float = 1e-4
    clip_norm: float | None = None

    def __post_init__(self) -> None:
        _check_range(self, 0, "lr", "clip_norm", above=True)
        _check_range(self, 0, "momentum", "weight_decay")


@dataclass(frozen=True)
class ScheduleConfig:
    """``warm_restarts`` as published, stepped every iteration, or one ``cosine`` with warm-up."""

    name: Literal["warm_restarts", "cosine"] = "warm_restarts"
    restart_epochs: float = 1.0
    restart_mult: int = 2
    min_lr: float = 1e-6
    warmup_steps: int = 0

    def __post_init__(self) -> None:
        _check_range(self, 0, "restart_epochs", above=True)
        _check_range(self, 1, "restart_mult")
        _check_range(self, 0, "min_lr", "warmup_steps")


@dataclass(frozen=True)
class GraphsConfig:
    """Graph sources by name, each with its options and, where changed, its ``coeff``."""

    sources: dict[str, dict[str, Any]] = field(
        default_factory=lambda: {
            name: {}
            for name in ("paired_view", "ref_dist", "ref_ref", "dist_dist", "knn", "transport")
        }
    )
    alpha: Literal["learned", "fixed"] = "learned"


@dataclass(frozen=True)
class PhotosConfig:
    """How reference crops are drawn; ``scale``: range of a random shrinking before the crop."""

    flip: bool = False
    scale: tuple[float, float] = (1.0, 1.0)

    def __post_init__(self) -> None:
        if not 0 < self.scale[0] <= self.scale[1] <= 1:
            raise ValueError(f"scale must be a range within 0 … 1, got {list(self.scale)}")


@dataclass(frozen=True)
class PretrainConfig:
    """One pre-training run; the defaults are the published configuration.

    Attributes
    ----------
    backbone : timm name.
    init : ``imagenet``, ``random``, or the name of a model to go on from; ``auto`` is ImageNet's
        where its weights can be had, and else random.
    pooling, statistics : how the finished model reads its features, see
        :class:`~shamisa_cli.encoders.encoder.Encoder`; training itself sees the last stage only.
    crop : crop side, px; or several with the share of the run at which each ends: ``112:0.6,224``.
    steps, epochs, budget : the run ends at whichever is given (``budget`` is wall-clock: ``25m``);
        with none of them, after one epoch.
    accumulate : mini-batches per optimizer step.
    """

    backbone: str = DEFAULT_BACKBONE
    init: str = "auto"
    pooling: Pooling = "last"
    statistics: Statistics = "none"
    seed: int = 0
    crop: str = "224"
    steps: int | None = None
    epochs: float | None = None
    budget: str | None = None
    accumulate: int = 1
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    device: str = "auto"
    compile: bool = False
    workers: int | None = None
    batch: BatchLayout = field(default_factory=BatchLayout)
    photos: PhotosConfig = field(default_factory=PhotosConfig)
    projector: ProjectorConfig = field(default_factory=ProjectorConfig)
    optimizer: OptimiserConfig = field(default_factory=OptimiserConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    weights: ObjectiveWeights = field(default_factory=ObjectiveWeights)
    graphs: GraphsConfig = field(default_factory=GraphsConfig)

    def __post_init__(self) -> None:
        parse_crop(self.crop)
        if self.budget is not None and parse_duration(self.budget) == 0:
            raise ValueError(f"budget must be above 0, got {self.budget}")
        if self.batch.views != VIEWS:
            raise ValueError(
                f"batch.views must be {VIEWS}, the scales that photos are cropped at, "
                f"got {self.batch.views}"
            )
        _check_range(self, 1, "steps", "accumulate")
        _check_range(self, 0, "epochs", above=True)
        _check_range(self, 0, "seed", "workers")
        ends = [name for name in ("steps", "epochs", "budget") if getattr(self, name) is not None]
        if len(ends) > 1:
            raise ValueError(f"give one of steps, epochs and budget, not {' and '.join(ends)}")

    @property
    def projector_batch_norm(self) -> bool:
        """Whether the projector is batch-normalized, ``auto`` decided."""
        if self.projector.batch_norm == "auto":
            return self.init == "random"
        return self.projector.batch_norm == "on"
