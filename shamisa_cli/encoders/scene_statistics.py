"""Natural scene statistics of luminance: 18 numbers a scale, as in BRISQUE, in logarithms.

Photos of the natural world, once divided by their local contrast, have values whose distribution
hardly depends on what they show; noise, blur and compression change its shape. Mittal, Moorthy and
Bovik, "No-Reference Image Quality Assessment in the Spatial Domain", IEEE Transactions on Image
Processing 21(12), 2012, describe these values, and the products of neighbours, by generalised
Gaussian distributions fitted by moments. That is done here, with two changes: shapes and spreads
are given as logarithms, so that all features have about the same range and a linear regressor can
use them as they are; and the spreads have a floor, so that pictures without contrast stay finite.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

SCENE_STATISTICS = 36
"""Features of a crop: 18 at its own size, 18 at half of it."""

_TAPS = 7
_SIGMA = 7 / 6
_CONTRAST = 1 / 255
"""C of the paper, for luminance in [0, 1]: keeps flat places from being divided by zero."""

_FLOOR = 0.01
"""Added to variances and deviations of normalised luminance (about 0.2) before the logarithm."""

_NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1))
"""(dy, dx) of the products: along rows, along columns, and both diagonals."""

_KNOTS = 1024


def scene_statistics(x: Tensor) -> Tensor:
    """(N, 36) float32 from crops ``x`` (N, 3, H, W), RGB in [0, 1], H and W at least 4.

    For each of two scales, of which the second is the first averaged over squares of 2×2 px: of the
    normalised luminance log shape and log variance; of the products of neighbours in each of four
    directions log shape, mean, log spread below and log spread above zero.
    """
    with torch.autocast(x.device.type, enabled=False):
        y = luminance(x.float())
        return torch.cat([_of_one_scale(y), _of_one_scale(F.avg_pool2d(y, 2))], dim=1)


def luminance(x: Tensor) -> Tensor:
    """(N, 1, H, W) ITU-R BT.601 luma of RGB (N, 3, H, W)."""
    r, g, b = x.unbind(1)
    return (0.299 * r + 0.587 * g + 0.114 * b).unsqueeze(1)


def normalised(y: Tensor) -> Tensor:
    """(y − μ) / (σ + C) with mean and deviation under a Gaussian window of 7×7 px (eq. 1-3).

    ``y`` is (N, 1, H, W) in [0, 1]; at the border its edge is repeated. Values are about ±1.
    """
    both = F.pad(torch.cat([y, y.square()]), (_TAPS // 2,) * 4, mode="replicate")
    mean, mean_square = _smoothed(_smoothed(both, 3), 2).unflatten(0, (2, -1))
    deviation = (mean_square - mean.square()).clamp_min(0).sqrt()
    return (y - mean) / (deviation + _CONTRAST)


def gaussian_fit(v: Tensor) -> Tensor:
    """(N, 2): log shape and log variance of the symmetric generalised Gaussian of each row (eq. 4).

    ``v`` is (N, M). The shape, in [0.2, 10], has (E|v|)²/E[v²] = ρ(shape) of :func:`moment_ratio`.
    """
    variance = v.square().mean(1)
    ratio = v.abs().mean(1).square() / variance.clamp_min(_tiny(v))
    return torch.stack([log_shape(ratio), (variance + _FLOOR).log()], dim=1)


def asymmetric_fit(v: Tensor) -> Tensor:
    """(N, 4): log shape, mean, log spread below and above zero, of each row of ``v`` (N, M).

    The asymmetric generalised Gaussian of eq. 7-10, by moments (Lasmar, Stitou and Berthoumieu,
    "Multiscale skewed heavy tailed model for texture analysis", ICIP 2009): with γ = σ_l / σ_r the
    shape has R = (E|v|)²/E[v²] · (γ³+1)(γ+1)/(γ²+1)² = ρ(shape), and the mean of the fitted
    distribution is (σ_r − σ_l)·√ρ.
    """
    above = v.clamp_min(0)
    total, total_square = v.sum(1), v.square().sum(1)
    sum_above, square_above = above.sum(1), above.square().sum(1)
    n_below, n_above = (v < 0).sum(1), (v > 0).sum(1)
    square_below = (total_square - square_above).clamp_min(0)
    below_spread = (square_below / n_below.clamp_min(1)).sqrt()
    above_spread = (square_above / n_above.clamp_min(1)).sqrt()
    size = v.shape[1]
    absolute = (2 * sum_above - total) / size
    gamma = below_spread / above_spread.clamp_min(_tiny(v) ** 0.25)
    skew = (gamma**3 + 1) * (gamma + 1) / (gamma.square() + 1).square()
    ratio = absolute.square() / (total_square / size).clamp_min(_tiny(v)) * skew
    mean = (above_spread - below_spread) * ratio.clamp(*_ratio_range()).sqrt()
    spreads = [(spread + _FLOOR).log() for spread in (below_spread, above_spread)]
    return torch.stack([log_shape(ratio), mean, *spreads], dim=1)


def moment_ratio(shape: Tensor) -> Tensor:
    """ρ = Γ(2/s)² / (Γ(1/s)·Γ(3/s)) of shapes s > 0; it rises with s, from 0 to 3/4."""
    inverse = 1 / shape
    one, two, three = (torch.lgamma(k * inverse) for k in (1, 2, 3))
    return (2 * two - one - three).exp()


def log_shape(ratio: Tensor) -> Tensor:
    """log s with ρ(s) = ``ratio`` (any shape), s in [0.2, 10]; off the exact one by 1e-4 at most.

    Looked up with linear interpolation, by comparisons alone, which every exporter knows.
    """
    ratios, shapes = _ratios().to(ratio), _log_shapes().to(ratio)
    ratio = ratio.clamp(*_ratio_range())
    below = ((ratio.unsqueeze(-1) >= ratios).sum(-1) - 1).clamp(0, _KNOTS - 2)
    start, end = ratios[below], ratios[below + 1]
    return torch.lerp(shapes[below], shapes[below + 1], (ratio - start) / (end - start))


def _of_one_scale(y: Tensor) -> Tensor:
    """(N, 18) from luminance (N, 1, H, W)."""
    v = normalised(y)[:, 0]
    parts = [gaussian_fit(v.flatten(1))]
    for dy, dx in _NEIGHBOURS:
        height, width = v.shape[1] - dy, v.shape[2] - abs(dx)
        left = max(0, -dx)
        here = v[:, :height, left : left + width]
        there = v[:, dy:, left + dx : left + dx + width]
        parts.append(asymmetric_fit((here * there).flatten(1)))
    return torch.cat(parts, dim=1)


def _smoothed(y: Tensor, dim: int) -> Tensor:
    """The Gaussian window along ``dim``, which gets 6 px shorter.

    Shifted sums: on a CPU nine times as fast here as PyTorch's convolution of one channel.
    """
    size = y.shape[dim] - _TAPS + 1
    window = _window()
    smoothed = window[0] * y.narrow(dim, 0, size)
    for k in range(1, _TAPS):
        smoothed = smoothed.add(y.narrow(dim, k, size), alpha=window[k])
    return smoothed


def _tiny(v: Tensor) -> float:
    return torch.finfo(v.dtype).tiny


@lru_cache(maxsize=1)
def _window() -> list[float]:
    """Seven taps of a Gaussian of sum 1."""
    place = torch.arange(_TAPS, dtype=torch.float64) - _TAPS // 2
    weight = (-place.square() / (2 * _SIGMA**2)).exp()
    return [float(tap) for tap in weight / weight.sum()]


@lru_cache(maxsize=1)
def _log_shapes() -> Tensor:
    """(knots,) float64: log s, evenly from log 0.2 to log 10."""
    return torch.linspace(math.log(0.2), math.log(10), _KNOTS, dtype=torch.float64)


@lru_cache(maxsize=1)
def _ratios() -> Tensor:
    """(knots,) float64: ρ at :func:`_log_shapes`."""
    return moment_ratio(_log_shapes().exp())


@lru_cache(maxsize=1)
def _ratio_range() -> tuple[float, float]:
    """The smallest and the largest ρ, as numbers: an exporter cannot follow those of tensors."""
    low, *_, high = _ratios().tolist()
    return low, high
