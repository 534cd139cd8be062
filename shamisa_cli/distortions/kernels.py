"""Blur kernels as small tensors: Gaussian, disk, line. All sum to 1."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

SUBSAMPLES = 32
"""Points per pixel and axis by which a disk's coverage of a pixel is measured."""


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
    inner = (torch.arange(SUBSAMPLES, dtype=torch.float64) + 0.5) / SUBSAMPLES - 0.5
    points = (torch.arange(-radius, radius + 1, dtype=torch.float64)[:, None] + inner).flatten()
    inside = (points[:, None] ** 2 + points[None, :] ** 2 <= disk_radius**2).double()
    side = 2 * radius + 1
    weights = inside.view(side, SUBSAMPLES, side, SUBSAMPLES).sum((1, 3))
    return (weights / weights.sum()).float()


def line(length: Tensor, angle: Tensor, radius: int) -> Tensor:
    """Lines (N, 2·radius+1, 2·radius+1) of ``length`` px at ``angle`` radians, through the centre.

    A pixel weighs 1 minus its distance in px to the segment that joins the centres of the line's
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
