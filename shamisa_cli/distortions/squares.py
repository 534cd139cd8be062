"""Squares laid on an image one after the other: which of them shows at each pixel."""

from __future__ import annotations

import torch
from torch import Tensor


def topmost_square(
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
