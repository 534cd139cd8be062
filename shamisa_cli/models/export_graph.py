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

CROPS, PHOTOS = "crops", "photos"
"""Names of the input: crops of one size, or photos of any size, looked at whole."""

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
    whole : whether photos come as they are viewed, not as crops of one size.
    """

    weight: Tensor
    knots: Tensor

    def __init__(self, encoder: Encoder, head: Head, *, whole: bool = False) -> None:
        super().__init__()
        self.encoder = copy.deepcopy(encoder).to(memory_format=torch.contiguous_format).eval()
        self.whole = whole
        self.bias = head.bias
        self.register_buffer("weight", head.weight.clone())
        self.register_buffer("knots", torch.tensor(head.info.knots, dtype=torch.float32))

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Scores (N,), 0-100, higher is better, and raw predictions (N,) in the head's own units.

        Parameters
        ----------
        pixels : uint8 RGB: N photos at K places, each at S scales, (N, K, S, 3, side, side); or,
            whole, (N, 3, H, W).
        """
        if self.whole:
            features = self.encoder(pixels.float() / 255)
        else:
            n, k = pixels.shape[:2]
            h = self.encoder(pixels.flatten(0, 2).float() / 255)
            features = h.reshape(n, k, -1).mean(1)
        raw = features @ self.weight + self.bias
        return _interpolate(raw, self.knots), raw

    @property
    def input_name(self) -> str:
        """``crops`` or ``photos``."""
        return PHOTOS if self.whole else CROPS


def make_graph(extractor: FeatureExtractor, head: Head) -> ScoreGraph:
    """The graph of an extractor (float32, on the CPU) and a head that fits it."""
    whole = extractor.plan.kind == "whole"
    if whole and extractor.protocol.scales != (1.0,):
        raise UsageError(
            "this model looks at photos whole and at several scales; a graph has one scale"
        )
    return ScoreGraph(extractor.encoder, head, whole=whole).eval()


def graph_input(extractor: FeatureExtractor, image: Image.Image) -> Tensor:
    """The graph's input for one photo (8-bit RGB): see :meth:`ScoreGraph.forward`."""
    scales = zip(*extractor.cut(image), strict=True)
    crops = np.stack([np.concatenate(batches) for batches in scales], axis=1)
    pixels = torch.from_numpy(crops).permute(0, 1, 4, 2, 3).contiguous()
    return pixels[:, 0] if extractor.plan.kind == "whole" else pixels[None]


def sample_inputs(extractor: FeatureExtractor) -> list[Tensor]:
    """Inputs to trace and to compare by: two photos and noise together, then one of another shape.

    The photos are of one size; the other is a part of one, at one place where there are several.
    """
    photos = [Image.fromarray(load_sample_image(name)) for name in SAMPLES]
    inputs = torch.cat([graph_input(extractor, photo) for photo in photos])
    generator = torch.Generator().manual_seed(0)
    noise = torch.randint(0, 256, inputs[:1].shape, generator=generator, dtype=torch.uint8)
    together = torch.cat([inputs, noise])
    part = together[:1, :, :301, :400] if extractor.plan.kind == "whole" else together[:1, :1]
    return [together, part]


def _interpolate(raw: Tensor, knots: Tensor) -> Tensor:
    """``raw`` (N,) linearly between ``knots`` (k, 2), rising in the first column; clipped beyond.

    A sum over the pieces: how much of each lies below ``raw``, times its slope.
    """
    at, scores = knots.T
    widths = at.diff()
    inside = (raw[:, None] - at[:-1]).clamp(torch.zeros_like(widths), widths)
    return scores[0] + inside @ (scores.diff() / widths)
