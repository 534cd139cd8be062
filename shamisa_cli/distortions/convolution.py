"""Blur kernels, and convolution of every image with its own kernel, borders replicated."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

LANES = 16
"""Channels that torch's CPU convolution works on at a time."""

CHORDS = 256
"""Chords per pixel by which a disk's coverage of the pixel is measured: to about 1e-5."""


def gaussian(sigma: Tensor, radius: int) -> Tensor:
    """Sampled Gaussians (N, 2·radius+1), one per σ in px.

    The support is KADID's (and MATLAB's): a σ whose own, 2⌈2σ⌉+1, is smaller than asked gets zeros
    outside it, so that images of different σ can be blurred in one call.
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


def convolve(images: Tensor, kernels: Tensor) -> Tensor:
    """Correlate image n of (N, C, H, W) with kernel n of (N, kh, kw), both sides odd.

    One depthwise call with N·C groups, which is the fastest form that torch has on a CPU (0.1 to
    0.8 ms for a 224-px crop, kernels of 3 to 17² taps); one kernel serves all channels.
    """
    n, channels, height, width = images.shape
    kh, kw = kernels.shape[-2:]
    pad = (kw // 2, kw // 2, kh // 2, kh // 2)
    padded = F.pad(images, pad, mode="replicate") if max(pad) else images
    weights = kernels.to(images.device, images.dtype, non_blocking=True)
    weights = weights.repeat_interleave(channels, 0).unsqueeze(1)
    planes = padded.reshape(1, n * channels, *padded.shape[-2:])
    return F.conv2d(planes, weights, groups=n * channels).view(n, channels, height, width)


def gaussian_blur(images: Tensor, sigma: Tensor, radius: int | None = None) -> Tensor:
    """Gaussian of σ px per image (N,), support 2⌈2σ⌉+1 (or 2·radius+1), in two 1-D passes."""
    if radius is None:
        radius = math.ceil(2 * float(sigma.max()))
    taps = gaussian(sigma, radius)
    along_rows = _convolve_rows(images, taps)
    return _convolve_rows(along_rows.transpose(2, 3), taps).transpose(2, 3)


def _convolve_rows(images: Tensor, taps: Tensor) -> Tensor:
    """Correlate the rows of image n of (N, C, H, W) with taps n of (N, k).

    Rows do not touch each other, so an image is cut into strips that pass for channels: an image of
    one or two channels would leave most lanes of the convolution empty (twice as slow, measured).
    """
    n, channels, height, width = images.shape
    pad = taps.shape[1] // 2
    padded = F.pad(images, (pad, pad, 0, 0), mode="replicate") if pad else images
    strips = _strips(n * channels, height)
    groups = n * channels * strips
    weights = taps.to(images.device, images.dtype, non_blocking=True)
    weights = weights.repeat_interleave(channels * strips, 0)[:, None, None]
    planes = padded.reshape(1, groups, height // strips, width + 2 * pad)
    return F.conv2d(planes, weights, groups=groups).view(n, channels, height, width)


def _strips(planes: int, height: int) -> int:
    """Into how many strips planes of ``height`` rows are cut: the fewest that fill ¾ of lanes."""
    for strips in (1, 2, 4, 8, 16):
        groups = planes * strips
        if height % strips == 0 and groups >= 0.75 * LANES * math.ceil(groups / LANES):
            return strips
    return 1
