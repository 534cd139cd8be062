"""From a network's maps to numbers: moments over the picture, and their logarithmic scale."""

from __future__ import annotations

import torch
from torch import Tensor


def log_scale(v: Tensor) -> Tensor:
    """asinh(10·√C·v) / √C of vectors v (N, C) of unit length, whose numbers are about 1/√C.

    Logarithmic for all but small numbers, and odd: what a channel answers to a picture varies by
    its size, as natural scene statistics do, and a linear regressor sees ratios. A tenth of the
    usual size is where it becomes linear.
    """
    root = v.shape[1] ** 0.5
    return torch.asinh(10.0 * root * v) / root


def moments(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (over N, not N-1) of each channel: two (N, C) of (N, C, H, W).

    A channel that is the same everywhere has deviation 0 and no gradient; that of √0 is infinite.
    """
    maps = maps.float()
    mean = maps.mean((2, 3))
    return mean, deviation_of(variance_about(maps, mean))


def variance_about(maps: Tensor, mean: Tensor) -> Tensor:
    """(N, C): mean square of maps (N, C, H, W) less ``mean`` (N, C).

    Exact for faint texture on large values, which a difference of mean squares rounds to anything.
    """
    return (maps - mean[..., None, None]).square().mean((2, 3))


def deviation_of(variance: Tensor) -> Tensor:
    """√variance, in any shape; 0 and without gradient where the variance is 0, or rounded below."""
    flat = variance <= 0
    return variance.masked_fill(flat, 1).sqrt().masked_fill(flat, 0)
