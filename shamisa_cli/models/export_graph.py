"""Encoder and head as one module: 8-bit crops of photos to scores."""

from __future__ import annotations

import copy

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_sample_image
from torch import Tensor, nn

from shamisa_cli.encoders.encoder import Encoder
from shamisa_cli.encoders.features import FeatureExtractor
from shamisa_cli.errors import UsageError
from shamisa_cli.models.head import Head

INPUT = "crops"
OUTPUTS = ("score", "raw")
SAMPLES = ("china.jpg", "flower.jpg")
"""scikit-learn's photos, both 640×427."""


class ScoreGraph(nn.Module):
    """What the scorer does once a photo is decoded, shrunk and cut up.

    State: the encoder, and the head's weights and knots.

    Parameters
    ----------
    encoder : ready for inference, float32 on the CPU; its preprocessing is a part of it.
    head : its features are those of all scales side by side.
    """

    weight: Tensor
    knots: Tensor

    def __init__(self, encoder: Encoder, head: Head) -> None:
        super().__init__()
        self.encoder = copy.deepcopy(encoder).to(memory_format=torch.contiguous_format).eval()
        self.bias = head.bias
        self.register_buffer("weight", head.weight.clone())
        self.register_buffer("knots", torch.tensor(head.info.knots, dtype=torch.float32))

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Scores (N,), 0-100, higher is better, and raw predictions (N,) in the head's own units.

        Parameters
        ----------
        crops : (N, K, S, 3, side, side) uint8 RGB: N photos, K places, each at S scales.
        """
        n, k = crops.shape[:2]
        h = self.encoder(crops.flatten(0, 2).float() / 255)
        raw = h.reshape(n, k, -1).mean(1) @ self.weight + self.bias
        return _interpolate(raw, self.knots), raw


def make_graph(extractor: FeatureExtractor, head: Head) -> ScoreGraph:
    """The graph of an extractor (float32, on the CPU) and a head that fits it."""
    if extractor.plan.kind == "whole":
        raise UsageError("this model looks at photos whole; a graph takes crops of one fixed size")
    return ScoreGraph(extractor.encoder, head).eval()


def photo_crops(extractor: FeatureExtractor, image: Image.Image) -> Tensor:
    """The graph's input for one photo (8-bit RGB): (1, K, S, 3, side, side) uint8."""
    scales = zip(*extractor.cut(image), strict=True)
    crops = np.stack([np.concatenate(batches) for batches in scales], axis=1)
    return torch.from_numpy(crops).permute(0, 1, 4, 2, 3).contiguous()[None]


def sample_crops(extractor: FeatureExtractor) -> Tensor:
    """The graph's input for two photos and noise: (3, K, S, 3, side, side) uint8."""
    photos = [Image.fromarray(load_sample_image(name)) for name in SAMPLES]
    crops = torch.cat([photo_crops(extractor, photo) for photo in photos])
    generator = torch.Generator().manual_seed(0)
    noise = torch.randint(0, 256, crops[:1].shape, generator=generator, dtype=torch.uint8)
    return torch.cat([crops, noise])


def _interpolate(raw: Tensor, knots: Tensor) -> Tensor:
    """``raw`` (N,) linearly between ``knots`` (k, 2), rising in the first column; clipped beyond.

    A sum over the pieces: how much of each lies below ``raw``, times its slope.
    """
    at, scores = knots.T
    widths = at.diff()
    inside = (raw[:, None] - at[:-1]).clamp(torch.zeros_like(widths), widths)
    return scores[0] + inside @ (scores.diff() / widths)
