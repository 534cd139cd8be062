"""What is fine-tuned: an encoder and a linear decoder; and the loss by human scores."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from timm.models import group_parameters
from torch import Tensor, nn
from torch.nn import functional as F

from shamisa_cli.encoders.encoder import Encoder, freeze_batch_norm


@dataclass(frozen=True)
class Standard:
    """Mean and deviation of the training part's scores: raw = mean + deviation · standard."""

    mean: float
    deviation: float

    def of(self, scores: Tensor) -> Tensor:
        """``scores`` in these units, float32."""
        return ((scores - self.mean) / self.deviation).float()


class FinetuneModel(nn.Module):
    """Encoder and decoder. State: their weights.

    Batch norms keep their statistics: mini-batches are small.

    Parameters
    ----------
    encoder : to start from; it is copied.
    fit : (w, b), a head for its features, in the scores' own units.
    standard : of the scores that are learned.
    trained : share of the backbone's layers that is trained, see :func:`train_last`.
    """

    def __init__(
        self, encoder: Encoder, fit: tuple[Tensor, float], standard: Standard, trained: float
    ) -> None:
        super().__init__()
        self.encoder = copy.deepcopy(encoder)
        train_last(self.encoder.backbone, trained)
        self.standard = standard
        w, b = fit
        self.decoder = nn.Linear(len(w), 1)
        with torch.no_grad():
            self.decoder.weight.copy_(w / standard.deviation)
            self.decoder.bias.fill_((b - standard.mean) / standard.deviation)

    def train(self, mode: bool = True) -> FinetuneModel:
        """As torch's, but for the batch norms."""
        super().train(mode)
        freeze_batch_norm(self.encoder)
        return self

    def forward(self, pixels: Sequence[Tensor]) -> Tensor:
        """(n,) standard scores of what each of the scales (n, 3, h, w), uint8, shows."""
        features = [self.encoder(crops.float() / 255) for crops in pixels]
        return self.decoder(torch.cat(features, dim=1)).squeeze(1)

    def fit(self) -> tuple[Tensor, float]:
        """(w, b) of the decoder, float64, in the scores' own units."""
        deviation = self.standard.deviation
        w = self.decoder.weight.detach().cpu().double()[0] * deviation
        return w, float(self.decoder.bias.detach()) * deviation + self.standard.mean


def train_last(backbone: nn.Module, share: float) -> None:
    """Let gradients reach only the last ``share`` (0 … 1] of the layers of a timm backbone.

    Layers are those that timm counts for rates by layer: stem, stages, what comes after. At least
    one is trained.
    """
    groups = group_parameters(backbone, cast(Any, backbone).group_matcher(coarse=True))
    count = len(groups)
    kept = count - max(1, round(share * count))
    frozen = {name for at in sorted(groups)[:kept] for name in groups[at]}
    for name, parameter in backbone.named_parameters():
        parameter.requires_grad_(name not in frozen)


def regression_loss(predictions: Tensor, scores: Tensor, deviation: float) -> Tensor:
    """Mean smooth L1 distance of ``predictions`` from ``scores``, both (n,) and standard.

    Quadratic within one point of the scores' own units, as with unscaled labels (docs/lml.md §2):
    nearly L1.
    """
    return F.smooth_l1_loss(predictions, scores, beta=1 / deviation)
