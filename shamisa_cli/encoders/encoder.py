"""The encoder h = f(x), and the projector z = g(h) of pre-training (docs/method.md §3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from shamisa_cli.encoders.backbones import create_backbone, earlier_channels, feature_size
from shamisa_cli.encoders.cells import cell_features
from shamisa_cli.encoders.config import Pooling, Preprocessing, Statistics
from shamisa_cli.encoders.ends import add_end
from shamisa_cli.encoders.pooling import log_scale, moments
from shamisa_cli.encoders.regions import (
    Regions,
    head_maps,
    map_channels,
    map_of_features,
    network_maps,
    region_features,
    region_size,
)
from shamisa_cli.encoders.scene_statistics import SCENE_STATISTICS, scene_statistics
from shamisa_cli.errors import UsageError


class Encoder(nn.Module):
    """A timm backbone from RGB in [0, 1] to unit-length features, and statistics if wanted.

    State: the backbone's weights, and the preprocessing that belongs to them. ``channels`` says how
    many each map of the backbone has, for ``pooling="regions"``; with other poolings it is empty.

    Parameters
    ----------
    backbone : timm model without classifier.
    preprocessing : normalization of its input.
    pooling : ``last``, as published: the backbone's own pooled features. ``log_stages``, ours:
        after those, mean and standard deviation over the picture of every channel of every earlier
        stage; each of these vectors has unit length, then each number is put on a logarithmic scale
        (:func:`log_scale`). Early stages see noise, blur and blocks, which a short training leaves
        out of the last one. h has a length of about 3, not 1. ``regions``, ours: every block's maps
        as a whole and place by place; see :mod:`~shamisa_cli.encoders.regions`.
    statistics : ``none``, as published; or ``scene``, ours: after h, natural scene statistics of
        luminance and color, which are not part of the unit length.
    regions : how much each part counts, for ``pooling="regions"``.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        backbone: nn.Module,
        preprocessing: Preprocessing | None = None,
        pooling: Pooling = "last",
        statistics: Statistics = "none",
        regions: Regions | None = None,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.pooling = pooling
        self.statistics = statistics
        self.regions = regions or Regions()
        self.feature_size = feature_size(backbone)
        self.channels = map_channels(backbone) if pooling == "regions" else []
        if pooling == "regions":
            if len(self.regions.maps) not in (0, len(self.channels)):
                given = len(self.regions.maps)
                raise UsageError(f"regions: {given} weights for {len(self.channels)} maps")
            self._heads = head_maps(backbone, len(self.channels))
            self.feature_size = region_size(self.channels, self._heads)
        elif pooling == "log_stages":
            self.feature_size += 2 * sum(earlier_channels(backbone))
        if statistics == "scene":
            self.feature_size += SCENE_STATISTICS
        self.preprocessing = preprocessing or Preprocessing()
        for name in ("mean", "std"):
            values = torch.tensor(getattr(self.preprocessing, name)).reshape(1, 3, 1, 1)
            self.register_buffer(name, values, persistent=False)

    @classmethod
    def from_name(
        cls,
        backbone: str,
        preprocessing: Preprocessing | None = None,
        pooling: Pooling = "last",
        statistics: Statistics = "none",
        regions: Regions | None = None,
        ends: Sequence[int] = (),
    ) -> Encoder:
        """An encoder with random weights (drawn from torch's generator).

        ``ends`` are the blocks at which its further ends start, see
        :mod:`~shamisa_cli.encoders.ends`.
        """
        net = create_backbone(backbone)
        for block in ends:
            add_end(net, block)
        return cls(net, preprocessing, pooling, statistics, regions)

    def forward(self, x: Tensor) -> Tensor:
        """Features (N, d) float32 from crops x (N, 3, H, W), RGB in [0, 1]: h, then statistics."""
        return self._with_statistics(self.represent(x), x)

    def forward_cells(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """:meth:`forward`, and what it is like around each cell, from one pass.

        The second is (N, C, rows, columns), see :func:`~shamisa_cli.encoders.cells.cell_features`.
        For ``regions`` only: other poolings keep no maps.
        """
        maps = network_maps(self.backbone, (x - self.mean) / self.std)
        h = region_features(maps, self.regions, self._heads)
        features = self._with_statistics(h, x)
        return features, cell_features(maps)

    def maps_of_features(self) -> Tensor:
        """(d,) int64, for ``regions``: which map each feature tells of; statistics are one more."""
        of = map_of_features(self.channels, self._heads)
        return F.pad(of, (0, self.feature_size - len(of)), value=len(self.channels))

    def _with_statistics(self, h: Tensor, x: Tensor) -> Tensor:
        """``h`` (N, d), and after it the statistics of the crops, if the encoder has any."""
        if self.statistics == "none":
            return h
        weight = self.regions.statistics if self.pooling == "regions" else 1.0
        return torch.cat([h, weight**0.5 * scene_statistics(x)], dim=1)

    def represent(self, x: Tensor) -> Tensor:
        """h (see ``pooling``), float32, from crops x (N, 3, H, W), RGB in [0, 1]."""
        x = (x - self.mean) / self.std
        if self.pooling == "last":
            return F.normalize(self.backbone(x).float(), dim=1)
        if self.pooling == "regions":
            return region_features(network_maps(self.backbone, x), self.regions, self._heads)
        backbone = cast(Any, self.backbone)
        last, maps = backbone.forward_intermediates(x)
        parts = [backbone.forward_head(last).float()]
        for stage in maps[:-1]:
            parts += moments(stage)
        scaled = [log_scale(F.normalize(part, dim=1)) for part in parts]
        return torch.cat(scaled, dim=1) / len(scaled) ** 0.5


class Projector(nn.Module):
    """z = Linear → ReLU → Linear of h; with ``batch_norm``, normalized before and inside (§5)."""

    def __init__(
        self, feature_size: int, hidden: int = 3072, out: int = 768, *, batch_norm: bool = False
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.BatchNorm1d(feature_size)] if batch_norm else []
        layers.append(nn.Linear(feature_size, hidden))
        layers += [nn.BatchNorm1d(hidden)] if batch_norm else []
        layers += [nn.ReLU(inplace=True), nn.Linear(hidden, out)]
        self.layers = nn.Sequential(*layers)

    def forward(self, h: Tensor) -> Tensor:
        """z (N, out) from h (N, d); not normalized."""
        return self.layers(h)


def freeze_batch_norm(module: nn.Module) -> None:
    """Set the batch norms in ``module`` to evaluation: they keep, and use, their statistics."""
    for layer in module.modules():
        if isinstance(layer, _BatchNorm):
            layer.eval()


def freeze_untrained(backbone: nn.Module) -> None:
    """Set the batch norms that no gradient reaches to evaluation, see :func:`train_last`."""
    for layer in backbone.modules():
        if isinstance(layer, _BatchNorm) and not any(p.requires_grad for p in layer.parameters()):
            layer.eval()


def train_last(backbone: nn.Module, share: float) -> None:
    """Let gradients reach only the last ``share`` (0 … 1] of the layers of a timm backbone.

    Layers are those that timm counts for rates by layer: stem, stages, what comes after. At least
    one is trained.

    Raises
    ------
    UsageError
        if timm does not know the backbone's layers, unless all are trained.
    """
    if share >= 1:
        backbone.requires_grad_(True)
        return
    layers = _layers(backbone, "trained = 1")
    kept = len(layers) - max(1, round(share * len(layers)))
    frozen = {name for names in layers[:kept] for name in names}
    for name, parameter in backbone.named_parameters():
        parameter.requires_grad_(name not in frozen)


def rates_by_layer(backbone: nn.Module, last: float) -> dict[str, float]:
    """Share of the learning rate by the name of each parameter that gradients reach.

    It is 1 in the first of the layers that are trained (see :func:`train_last`) and ``last`` in the
    last one; in between it goes evenly, on a logarithmic scale. Empty where ``last`` is 1.

    Raises
    ------
    UsageError
        if timm does not know the backbone's layers, unless ``last`` is 1.
    """
    if last == 1:
        return {}
    reached = {name for name, parameter in backbone.named_parameters() if parameter.requires_grad}
    trained = [
        names for layer in _layers(backbone, "late_rate = 1") if (names := reached & set(layer))
    ]
    steps = max(1, len(trained) - 1)
    return {name: last ** (at / steps) for at, names in enumerate(trained) for name in names}


def _layers(backbone: nn.Module, instead: str) -> list[list[str]]:
    """Names of the parameters of each layer, first to last; refusals advise ``instead``."""
    if not hasattr(backbone, "group_matcher"):
        name = type(backbone).__name__
        raise UsageError(f"timm does not tell the layers of {name}: use {instead} with it")
    from timm.models import group_parameters

    groups = group_parameters(backbone, cast(Any, backbone).group_matcher(coarse=True))
    return [groups[at] for at in sorted(groups)]
