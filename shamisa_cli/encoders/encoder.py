"""The encoder h = f(x), and the projector z = g(h) that is thrown away after pre-training (§3)."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from shamisa_cli.encoders.backbones import create_backbone, earlier_channels, feature_size
from shamisa_cli.encoders.config import Pooling, Preprocessing


class Encoder(nn.Module):
    """A timm backbone from RGB in [0, 1] to unit-length features.

    State: the backbone's weights, and the preprocessing that belongs to them.

    Parameters
    ----------
    backbone : timm model without classifier.
    preprocessing : normalisation of its input.
    pooling : ``last``, as published: the backbone's own pooled features. ``stages``, ours: after
        those, mean and standard deviation over the picture of every channel of every earlier stage,
        each of these vectors of unit length. Early stages see noise, blur and blocks, which a
        short training leaves out of the last one.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        backbone: nn.Module,
        preprocessing: Preprocessing | None = None,
        pooling: Pooling = "last",
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.pooling = pooling
        self.feature_size = feature_size(backbone)
        if pooling == "stages":
            self.feature_size += 2 * sum(earlier_channels(backbone))
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
    ) -> Encoder:
        """An encoder with random weights (drawn from torch's generator)."""
        return cls(create_backbone(backbone), preprocessing, pooling)

    def forward(self, x: Tensor) -> Tensor:
        """h (N, d) of unit length, float32, from crops x (N, 3, H, W), RGB in [0, 1]."""
        x = (x - self.mean) / self.std
        if self.pooling == "last":
            return F.normalize(self.backbone(x).float(), dim=1)
        backbone = cast(Any, self.backbone)
        last, maps = backbone.forward_intermediates(x)
        parts = [backbone.forward_head(last).float()]
        for stage in maps[:-1]:
            parts += statistics(stage)
        return F.normalize(torch.cat([F.normalize(part, dim=1) for part in parts], dim=1), dim=1)


def statistics(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (over N, not N-1) of each channel: two (N, C) of (N, C, H, W)."""
    maps = maps.float()
    mean = maps.mean((2, 3))
    return mean, (maps - mean[..., None, None]).square().mean((2, 3)).sqrt()


class Projector(nn.Module):
    """z = Linear → ReLU → Linear of h; with ``batch_norm``, normalised before and inside (§5)."""

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
        """z (N, out) from h (N, d); not normalised."""
        return self.layers(h)
