"""Everything that decides a pre-training run; TOML, options and checkpoints use these names."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal

from shamisa_cli.distortions.composition import Sampling
from shamisa_cli.distortions.layout import BatchLayout
from shamisa_cli.encoders.backbones import DEFAULT_BACKBONE
from shamisa_cli.encoders.config import Pooling, Statistics
from shamisa_cli.graphs.combine import Negatives
from shamisa_cli.graphs.shares import AlphaMode, Balance
from shamisa_cli.imaging.pool import VIEWS
from shamisa_cli.training.config import TrainingConfig, check_range


@dataclass(frozen=True)
class ProjectorConfig:
    """Sizes of the projector (docs/method.md §3).

    ``batch_norm`` puts batch normalization before and inside it. ``auto`` does so exactly when
    training starts from random weights, where the published one collapses (docs/method.md §5).
    """

    hidden: int = 3072
    out: int = 768
    batch_norm: Literal["auto", "on", "off"] = "auto"

    def __post_init__(self) -> None:
        check_range(self, 1, "hidden", "out")


@dataclass(frozen=True)
class GraphsConfig:
    """Graph sources by name, each with its options and, where changed, its ``coeff``.

    Attributes
    ----------
    sources : their names, in order.
    alpha : how the shares α are made, see :data:`~shamisa_cli.graphs.shares.AlphaMode`.
    balance, balance_temperature : of ``alpha = "balanced"``, see
        :func:`~shamisa_cli.graphs.shares.balance_loss`.
    binary : every positive weight of a source's graph becomes 1, before α and c.
    topk_each : each node keeps its so many largest edges of A; None keeps all.
    negatives : what repels, for objectives that hold crops apart: what ``sources`` say, or, beside
        that, the ``rest``: every pair that A does not join.
    detach : graphs are targets, as the paper says. Without it, as in the published training,
        gradients reach the representations through the graphs' weights in −λ·Σ A²
        (docs/method.md §4).
    """

    sources: dict[str, dict[str, Any]] = field(
        default_factory=lambda: {
            name: {}
            for name in ("paired_view", "ref_dist", "ref_ref", "dist_dist", "knn", "transport")
        }
    )
    alpha: AlphaMode = "fixed"
    balance: Balance = "unmet"
    balance_temperature: float = 0.5
    binary: bool = False
    topk_each: int | None = None
    negatives: Negatives = "sources"
    detach: bool = True

    def __post_init__(self) -> None:
        check_range(self, 0, "balance_temperature", above=True)
        check_range(self, 1, "topk_each")
        if not self.detach and self.alpha == "learned":
            raise ValueError('detach = false needs alpha other than "learned"')
        if not self.detach and self.binary:
            raise ValueError("detach = false needs binary = false: weights of 1 have no gradient")


@dataclass(frozen=True)
class PhotosConfig:
    """How reference crops are drawn; ``scale``: range of a random shrinking before the crop."""

    flip: bool = False
    scale: tuple[float, float] = (1.0, 1.0)

    def __post_init__(self) -> None:
        if not 0 < self.scale[0] <= self.scale[1] <= 1:
            raise ValueError(f"scale must be a range within 0 … 1, got {list(self.scale)}")


@dataclass(frozen=True)
class PretrainConfig(TrainingConfig):
    """One pre-training run; the defaults are the published configuration.

    Attributes
    ----------
    backbone : timm name.
    init : ``imagenet``, ``random``, or the name of a model to go on from; ``auto`` is ImageNet's
        where its weights can be had, and else random.
    pooling, statistics : how the finished model reads its features, see
        :class:`~shamisa_cli.encoders.encoder.Encoder`; training itself sees the last stage only.
    crop : crop side, px; or several with the share of the run at which each ends: ``112:0.6,224``.
    batch_norm : the backbone's batch normalization. ``batch`` normalizes by all crops of a step.
        ``apart`` does so for the reference crops and for the distorted ones by themselves, as the
        published training does. ``frozen``, ours, for a start from trained weights: running
        statistics stay as they are and normalize every crop (docs/pretraining.md says what it
        saves); scales and shifts are trained.
    trained : share of the backbone's layers that is trained, counted from the last, for a start
        from trained weights, see :func:`~shamisa_cli.encoders.encoder.train_last`. The layers
        before stay as they are, the statistics of their batch norms too. The paper trains all.
    late_rate : share of the learning rate that the last layer has, ours, see
        :func:`~shamisa_cli.encoders.encoder.rates_by_layer`; below 1 it keeps more of what the
        start knows of content. The paper has one rate for all: 1.
    self_distillation : weight of a term beside the objective, ours, for a start from trained
        weights: ‖h − h₀‖² (0 … 4), the mean over the crops, where h₀ is what the start makes of the
        same crop. It keeps what the start knows of content. The paper has none: 0.
    compositions : how the engine's compositions are drawn.
    objective : the ``name`` of an objective, and its options.
    compile : ``torch.compile`` the backbone.
    dynamics_every : steps between two measurements of the run's dynamics.
    """

    backbone: str = DEFAULT_BACKBONE
    init: str = "auto"
    pooling: Pooling = "last"
    statistics: Statistics = "none"
    crop: str = "224"
    batch_norm: Literal["batch", "apart", "frozen"] = "batch"
    trained: float = 1.0
    late_rate: float = 1.0
    self_distillation: float = 0.0
    batch: BatchLayout = field(default_factory=BatchLayout)
    compositions: Sampling = field(default_factory=Sampling)
    photos: PhotosConfig = field(default_factory=PhotosConfig)
    projector: ProjectorConfig = field(default_factory=ProjectorConfig)
    objective: dict[str, Any] = field(default_factory=lambda: {"name": "graph_vicreg"})
    graphs: GraphsConfig = field(default_factory=GraphsConfig)
    compile: bool = False
    dynamics_every: int = 50

    def __post_init__(self) -> None:
        check_range(self, 0, "epochs", above=True)
        check_range(self, 0, "trained", "late_rate", above=True, most=1)
        check_range(self, 0, "self_distillation")
        check_range(self, 1, "dynamics_every")
        super().__post_init__()
        parse_crop(self.crop)
        if self.init == "random" and (self.trained < 1 or self.self_distillation):
            key = "trained below 1" if self.trained < 1 else "self_distillation"
            raise ValueError(f"{key} needs a start from trained weights, not init random")
        if not isinstance(self.objective.get("name"), str):
            raise ValueError("objective must have a name, such as graph_vicreg")
        if self.batch.views > VIEWS:
            raise ValueError(
                f"batch.views must be 1 or {VIEWS}, the scales that photos are cropped at, "
                f"got {self.batch.views}"
            )

    @property
    def projector_batch_norm(self) -> bool:
        """Whether the projector is batch-normalized, ``auto`` decided."""
        if self.projector.batch_norm == "auto":
            return self.init == "random"
        return self.projector.batch_norm == "on"


def parse_crop(text: str) -> tuple[tuple[int, float], ...]:
    """((side px, share of the run at which it ends), …) of ``224`` or ``112:0.6,224``."""
    stages: list[tuple[int, float]] = []
    parts = text.split(",")
    for k, part in enumerate(parts):
        match = re.fullmatch(r"(\d+)(?::(\d*\.?\d+))?", part.strip())
        last = k == len(parts) - 1
        if match is None or (match[2] is None and not last):
            raise ValueError(f"expected a crop such as 224 or 112:0.6,224, got {text!r}")
        side, end = int(match[1]), 1.0 if last else float(match[2])
        if side < 32 or end > 1 or (stages and end <= stages[-1][1]):
            raise ValueError(f"crop {text!r}: sides are at least 32 px and shares rise up to 1")
        stages.append((side, end))
    return tuple(stages)


def crop_side(crop: str, progress: float) -> int:
    """The crop side in px at ``progress`` (0 … 1) of a run."""
    stages = parse_crop(crop)
    return next((side for side, end in stages if progress < end), stages[-1][0])
