"""Blur kernels as small tensors: Gaussian, disk, line. All sum to 1."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

CHORDS = 256
"""Chords per pixel by which a disk's coverage of the pixel is measured: to about 1e-5."""


def gaussian_radius(sigma: float) -> int:
    """Half the support of the Gaussian: KADID (and MATLAB) use 2⌈2σ⌉+1 taps."""
    return math.ceil(2 * sigma)


def gaussian(sigma: Tensor, radius: int) -> Tensor:
    """Sampled Gaussians (N, 2·radius+1), one per σ in px.

    A σ whose own support 2⌈2σ⌉+1 is smaller than asked gets zeros outside it, so that images of
    different σ can be blurred in one call.
    """
    offsets = torch.arange(-radius, radius + 1, dtype=torch.float64)
    sigma = sigma.to("cpu", torch.float64)[:, None]
    weights = torch.exp(-0.5 * (offsets / sigma) ** 2)
    weights = weights * (offsets.abs() <= torch.ceil(2 * sigma))
    return (weights / weights.sum(1, keepdim=True)).float()


@lru_cache(maxsize=64)
def disk(disk_radius: int, radius: int) -> Tensor:
    """Disk (2·radius+1)²: a pixel weighs as much as the part of it that the disk covers."""
    side = torch.arange(-radius, radius + 1, dtype=torch.float64)
    inner = (torch.arange(CHORDS, dtype=torch.float64) + 0.5) / CHORDS - 0.5
    half = (disk_radius**2 - (side[:, None] + inner) ** 2).clamp_min(0).sqrt()[:, None]
    pixel = side[:, None]
    covered = torch.minimum(pixel + 0.5, half) - torch.maximum(pixel - 0.5, -half)
    weights = covered.clamp_min(0).mean(-1)
    return (weights / weights.sum()).float()


def line(length: Tensor, angle: Tensor, radius: int) -> Tensor:
    """Lines (N, 2·radius+1, 2·radius+1) of ``length`` px at ``angle`` radians, through the center.

    A pixel weighs 1 minus its distance in px to the segment that joins the centers of the line's
    first and last pixel (at least 0), which is how MATLAB's ``fspecial('motion')`` smooths it.
    """
    offsets = torch.arange(-radius, radius + 1, dtype=torch.float64)
    y, x = torch.meshgrid(offsets, offsets, indexing="ij")
    cos, sin = (f(angle.to("cpu", torch.float64))[:, None, None] for f in (torch.cos, torch.sin))
    half = (length.to("cpu", torch.float64)[:, None, None] - 1) / 2
    along = x * cos - y * sin
    across = x * sin + y * cos
    beyond = (along.abs() - half).clamp_min(0)
    weights = (1 - torch.hypot(beyond, across)).clamp_min(0)
    return (weights / weights.sum((1, 2), keepdim=True)).float()
