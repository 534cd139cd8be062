"""The encoder h = f(x), and the projector z = g(h) that is thrown away after pre-training (§3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from shamisa_cli.encoders.backbones import create_backbone, feature_size
from shamisa_cli.encoders.config import Preprocessing


class Encoder(nn.Module):
    """A timm backbone from RGB in [0, 1] to unit-length features.

    State: the backbone's weights, and the preprocessing that belongs to them.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, backbone: nn.Module, preprocessing: Preprocessing | None = None) -> None:
        super().__init__()
        self.backbone = backbone
        self.feature_size = feature_size(backbone)
        self.preprocessing = preprocessing or Preprocessing()
        for name in ("mean", "std"):
            values = torch.tensor(getattr(self.preprocessing, name)).reshape(1, 3, 1, 1)
            self.register_buffer(name, values, persistent=False)

    @classmethod
    def from_name(cls, backbone: str, preprocessing: Preprocessing | None = None) -> Encoder:
        """An encoder with random weights (drawn from torch's generator)."""
        return cls(create_backbone(backbone), preprocessing)

    def forward(self, x: Tensor) -> Tensor:
        """h (N, d) of unit length, float32, from crops x (N, 3, H, W), RGB in [0, 1]."""
        pooled = self.backbone((x - self.mean) / self.std)
        return F.normalize(pooled.float(), dim=1)


class Projector(nn.Module):
    """z = Linear → ReLU → Linear of h; with ``batch_norm``, also normalised before and inside (§5)."""

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
