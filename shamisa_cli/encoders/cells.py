"""Cell features, ours: what a network's maps are like around each small place of a photo.

A head reads averages over the whole photo, see :mod:`~shamisa_cli.encoders.regions`. The same
numbers, taken from windows of 3×3 cells, tell one place from another. A cell is one position of the
last map: 32 px for most networks. One pass over the photo serves both.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from shamisa_cli.encoders.pooling import deviation_of, log_scale

WINDOW = 3
"""Cells along each side of a window; at the border of a photo it is cut off."""


def cell_size(channels: Sequence[int]) -> int:
    """Length of :func:`cell_features` of a cell: two numbers a channel, one of the last map."""
    return 2 * sum(channels[:-1]) + channels[-1]


def cell_features(maps: Sequence[Tensor]) -> Tensor:
    """(N, C, rows, columns) float32 of maps (N, C_k, H_k, W_k), first to last.

    In the order of the maps: mean and deviation of each channel in the window around each cell (of
    the last map the mean alone). Each of these vectors has unit length along the channels, and is
    then put on a logarithmic scale. Where maps do not divide evenly, cells are those of PyTorch's
    adaptive pooling: cell i of n px goes from ⌊i·n/rows⌋ to ⌈(i+1)·n/rows⌉.
    """
    rows, columns = maps[-1].shape[2:]
    parts: list[Tensor] = []
    for k, found in enumerate(maps):
        found = found.float()
        mean = window_means(F.adaptive_avg_pool2d(found, (rows, columns)))
        parts.append(_scaled(mean))
        if k < len(maps) - 1:
            square = window_means(F.adaptive_avg_pool2d(found.square(), (rows, columns)))
            parts.append(_scaled(deviation_of(square - mean.square())))
    return torch.cat(parts, dim=1)


def window_means(cells: Tensor) -> Tensor:
    """Mean over the window around each cell; cells outside of the photo do not count."""
    return F.avg_pool2d(cells, WINDOW, 1, WINDOW // 2, count_include_pad=False)


def _scaled(v: Tensor) -> Tensor:
    """(N, C, rows, columns) of unit length along the channels, on a logarithmic scale."""
    return log_scale(F.normalize(v, dim=1))
