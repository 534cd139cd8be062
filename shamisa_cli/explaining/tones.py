"""Tones, ours: how dark, bright and colorful the pixels of a photo are.

A network's features hardly tell where black and white lie, which is what "too dark", "too bright"
and "wrong contrast" mean. The words hear these numbers beside the features; scores do not, since
they gain nothing (docs/experiments/imagenet.md).
"""

from __future__ import annotations

import torch
from torch import Tensor

from shamisa_cli.encoders.scene_statistics import luminance

QUANTILES = (0.001, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999)
TONES = 4 * 3 * len(QUANTILES) + 4
"""Numbers of :func:`tones`."""

_LEVELS = 256
_NEAR = 1 / 255
"""Added to distances from black and white before the logarithm."""
_RARE = 1e-4
"""Added to shares of pixels before the logarithm."""


def tones(x: Tensor) -> Tensor:
    """(:data:`TONES`,) float32 of a photo ``x`` (3, H, W), RGB in [0, 1].

    Every second pixel of every second row is looked at. Of luminance, saturation (1 − smallest /
    largest channel; 0 of black), the largest and the smallest channel: quantiles q over the pixels,
    their log q, and their log (1 − q). Then the logs of the shares of pixels that are clipped: any
    channel at white, all at white, any at black, all at black.
    """
    x = x[:, ::2, ::2]
    largest, smallest = x.amax(0), x.amin(0)
    saturation = (largest - smallest) / largest.clamp_min(1 / (_LEVELS - 1))
    maps = luminance(x[None])[0], saturation, largest, smallest
    *_, of_largest, of_smallest = histograms = [shares(values) for values in maps]
    numbers: list[Tensor] = []
    for share in histograms:
        q = quantiles(share)
        numbers += [q, (q + _NEAR).log(), (1 - q + _NEAR).log()]
    clipped = torch.stack([of_largest[-1], of_smallest[-1], of_smallest[0], of_largest[0]])
    return torch.cat([*numbers, (clipped + _RARE).log()])


def shares(values: Tensor) -> Tensor:
    """(256,) float32: the share of the pixels at each 8-bit level, of ``values`` in [0, 1]."""
    levels = (values * (_LEVELS - 1)).round().to(torch.int64).flatten()
    return torch.bincount(levels, minlength=_LEVELS).float() / levels.numel()


def quantiles(share: Tensor) -> Tensor:
    """(9,): the least level, in [0, 1], up to which :data:`QUANTILES` of the pixels lie."""
    wanted = torch.tensor(QUANTILES, dtype=torch.float64)
    level = torch.searchsorted(share.double().cumsum(0), wanted - 1e-9)
    return level.clamp(max=_LEVELS - 1).float() / (_LEVELS - 1)
