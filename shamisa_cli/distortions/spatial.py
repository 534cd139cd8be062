"""Spatial: jitter, displaced patches, pixelation, quantization, color blocks (KADID-10k)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from shamisa_cli.distortions.draws import generator_for, host_integers, host_uniform, per_image

JITTER_ROUNDS = 5
PATCH_SIDE = 16
PATCH_REACH = 8
BLOCK_SIDE = 32


def jitter(images: Tensor, native: Tensor, generator: torch.Generator) -> Tensor:
    """Five rounds of bilinear warping, each pixel displaced by Gaussians of σ = ``native`` px."""
    n, _, height, width = images.shape
    device, dtype = images.device, images.dtype
    rows = (torch.arange(height, device=device, dtype=dtype) * 2 + 1) / height - 1
    columns = (torch.arange(width, device=device, dtype=dtype) * 2 + 1) / width - 1
    grid = torch.stack([columns.expand(height, width), rows[:, None].expand(height, width)], dim=-1)
    step = per_image(native, images) * torch.tensor([2 / width, 2 / height], device=device)
    local = generator_for(device, generator)
    for _ in range(JITTER_ROUNDS):
        moves = torch.randn((n, height, width, 2), generator=local, device=device, dtype=dtype)
        images = F.grid_sample(
            images,
            moves.mul_(step).add_(grid),
            mode="bilinear",
            padding_mode="border",
            align_corners=False,
        )
    return images


def non_eccentricity_patch(images: Tensor, native: Tensor, generator: torch.Generator) -> Tensor:
    """Copy ``native`` patches of 16×16 px, each from a random place to one up to 8 px away.

    Every patch shows the image as it was before; later patches cover earlier ones.
    """
    n, channels, height, width = images.shape
    counts = native.long()
    shape = (n, int(counts.max()))
    side = (min(PATCH_SIDE, height), min(PATCH_SIDE, width))
    starts, moves = [], []
    for extent, length in ((height, side[0]), (width, side[1])):
        source = host_integers(0, extent - length, shape, generator)
        move = host_integers(-PATCH_REACH, PATCH_REACH, shape, generator)
        start = (source + move).clamp(0, extent - length)
        starts.append(start.to(images.device))
        moves.append(start - source)
    shown = _topmost_square(starts[0], starts[1], counts, side, (height, width))
    step = F.pad(moves[0] * width + moves[1], (1, 0)).to(images.device)
    index = torch.arange(height * width, device=images.device) - step.gather(1, shown)
    moved = images.flatten(2).gather(2, index[:, None].expand(-1, channels, -1))
    return moved.view(images.shape)


def pixelate(images: Tensor, native: Tensor, generator: torch.Generator) -> Tensor:
    """Nearest-neighbor shrinking by 0.95 − s^0.6 (s = ``native``) and enlarging back."""
    n, channels, height, width = images.shape
    factor = 0.95 - native.double() ** 0.6
    rows, columns = (_coarse_index(extent, factor) for extent in (height, width))
    index = (rows[:, :, None] * width + columns[:, None, :]).to(images.device)
    coarse = images.flatten(2).gather(2, index.view(n, 1, -1).expand(-1, channels, -1))
    return coarse.view(images.shape)


def quantization(images: Tensor, native: Tensor, generator: torch.Generator) -> Tensor:
    """Round every value to the nearest of ``native`` evenly spaced levels, 0 and 1 among them."""
    steps = per_image(native, images) - 1
    return (images * steps).round_().div_(steps)


def color_block(images: Tensor, native: Tensor, generator: torch.Generator) -> Tensor:
    """Lay ``native`` squares of 32×32 px, each of one random color, at random places."""
    n, channels, height, width = images.shape
    counts = native.long()
    shape = (n, int(counts.max()))
    side = (min(BLOCK_SIDE, height), min(BLOCK_SIDE, width))
    top = host_integers(0, height - side[0], shape, generator)
    left = host_integers(0, width - side[1], shape, generator)
    colors = host_uniform((n, channels, shape[1]), generator)
    device = images.device
    shown = _topmost_square(top.to(device), left.to(device), counts, side, (height, width))
    palette = F.pad(colors, (1, 0)).to(device, images.dtype)
    painted = palette.gather(2, shown[:, None].expand(-1, channels, -1))
    bare = (shown == 0).to(images.dtype)[:, None]
    return painted.addcmul_(images.flatten(2), bare).view(images.shape)


def _coarse_index(extent: int, factor: Tensor) -> Tensor:
    """(N, extent) int64: which pixel each one shows after nearest shrinking and enlarging."""
    small = torch.round(extent * factor).long().clamp_min(1)[:, None]
    at_small = (2 * torch.arange(extent) + 1) * small // (2 * extent)
    return (2 * at_small + 1) * extent // (2 * small)


def _topmost_square(
    top: Tensor, left: Tensor, counts: Tensor, side: tuple[int, int], size: tuple[int, int]
) -> Tensor:
    """Which square shows at each pixel, when later squares cover earlier ones.

    Parameters
    ----------
    top, left : (N, K) int64, the first row and column of every square, inside the image.
    counts : (N,) int64, how many of the K squares image n has.
    side : (height, width) of a square in px.
    size : (H, W) of the images in px.

    Returns
    -------
    (N, H·W) int64: 0 where no square lies, k + 1 where square k lies on top.
    """
    n, k = top.shape
    height, width = size
    device = top.device
    within = torch.arange(side[0], device=device)[:, None] * width + torch.arange(
        side[1], device=device
    )
    pixels = (top * width + left)[:, :, None] + within.flatten()
    numbers = torch.arange(1, k + 1, device=device).expand(n, k)
    numbers = torch.where(numbers <= counts[:, None].to(device), numbers, 0)
    shown = torch.zeros(n, height * width, dtype=torch.int64, device=device)
    source = numbers[:, :, None].expand(pixels.shape).flatten(1)
    return shown.scatter_reduce_(1, pixels.flatten(1), source, "amax")
