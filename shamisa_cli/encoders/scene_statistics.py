"""Natural scene statistics: 18 numbers a map, as in BRISQUE, in logarithms.

Photos of the natural world, once divided by their local contrast, have values whose distribution
hardly depends on what they show; noise, blur and compression change its shape. Mittal, Moorthy and
Bovik, "No-Reference Image Quality Assessment in the Spatial Domain", IEEE Transactions on Image
Processing 21(12), 2012, describe these values, and the products of neighbors, by generalized
Gaussian distributions fitted by moments, at two scales. That is done here, with three changes.
Shapes and spreads are given as logarithms, so that all features have about the same range and a
linear regressor can use them as they are; the spreads have a floor, so that pictures without
contrast stay finite; and beside luminance there are two opponent colors, as in Zhang, Zhang and
Bovik, "A Feature-Enriched Completely Blind Image Quality Evaluator", IEEE Transactions on Image
Processing 24(8), 2015, without which shifted and faded colors go unseen.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

SCENE_STATISTICS = 72
"""Features of a crop: 18 of luminance; and at half size 18 of luminance and of two colors each."""

_TAPS = 7
_SIGMA = 7 / 6
_CONTRAST = 1 / 255
"""C of the paper, for luminance in [0, 1]: keeps flat places from being divided by zero."""

FLOOR = 0.01
"""Added to variances and deviations of normalized luminance (about 0.2) before the logarithm."""

_SMALL = 1e-4
"""A product counts as above or below zero by as much as it exceeds this: in flat places the sign is
rounding's own, and would differ between machines."""

_NEIGHBORS = ((0, 1), (1, 0), (1, 1), (1, -1))
"""(dy, dx) of the products: along rows, along columns, and both diagonals."""

_KNOTS = 1024


def scene_statistics(x: Tensor) -> Tensor:
    """(N, 72) float32 from crops ``x`` (N, 3, H, W), RGB in [0, 1], H and W at least 4.

    Of luminance; then, averaged over squares of 2×2 px, of luminance and of both opponent colors:
    of the normalized map log shape and log variance; of the products of neighbors in each of four
    directions log shape, mean, log spread below and log spread above zero.
    """
    with torch.autocast(x.device.type, enabled=False):
        x = x.float()
        half = F.avg_pool2d(x, 2)
        maps = [luminance(x), luminance(half), *opponents(half)]
        return torch.cat([map_statistics(y) for y in maps], dim=1)


def luminance(x: Tensor) -> Tensor:
    """(N, H, W) ITU-R BT.601 luma of RGB (N, 3, H, W)."""
    r, g, b = x.unbind(1)
    return 0.299 * r + 0.587 * g + 0.114 * b


def opponents(x: Tensor) -> tuple[Tensor, Tensor]:
    """Yellow-blue and red-green, (N, H, W) each, of RGB (N, 3, H, W).

    The Gaussian color model of Geusebroek et al., "Color invariance", IEEE Transactions on Pattern
    Analysis and Machine Intelligence 23(12), 2001.
    """
    r, g, b = x.unbind(1)
    return 0.30 * r + 0.04 * g - 0.35 * b, 0.34 * r - 0.60 * g + 0.17 * b


def map_statistics(y: Tensor) -> Tensor:
    """(N, 18) of one map (N, H, W); see :func:`scene_statistics`."""
    v = normalized(y)
    parts = [gaussian_fit(v)]
    for dy, dx in _NEIGHBORS:
        height, width = v.shape[1] - dy, v.shape[2] - abs(dx)
        left = max(0, -dx)
        here = v[:, :height, left : left + width]
        there = v[:, dy:, left + dx : left + dx + width]
        parts.append(asymmetric_fit(here * there))
    return torch.cat(parts, dim=1)


def normalized(y: Tensor) -> Tensor:
    """(y − μ) / (σ + C) with mean and deviation under a Gaussian window of 7×7 px (eq. 1-3).

    ``y`` is (N, H, W) in a range of 1; at the border its edge is repeated. Values are about ±1.
    """
    y_padded = F.pad(y[None], (_TAPS // 2,) * 4, mode="replicate")[0]
    row_mean = _smoothed(y_padded, 2)
    row_variance = _spread(y_padded, row_mean, 2)
    mean = _smoothed(row_mean, 1)
    deviation = (_smoothed(row_variance, 1) + _spread(row_mean, mean, 1)).sqrt()
    return (y - mean) / (deviation + _CONTRAST)


def gaussian_fit(v: Tensor) -> Tensor:
    """(N, 2): log shape and log variance of the generalized Gaussian of each map (eq. 4).

    ``v`` is (N, H, W). The shape s, in [0.2, 10], has (E|v|)²/E[v²] = ρ(s), :func:`moment_ratio`.
    """
    size = v.shape[1] * v.shape[2]
    variance = _sum_of_squares(v) / size
    ratio = (_sum(v.abs()) / size).square() / variance.clamp_min(_tiny(v))
    return torch.stack([log_shape(ratio), (variance + FLOOR).log()], dim=1)


def asymmetric_fit(v: Tensor) -> Tensor:
    """(N, 4): log shape, mean, log spread below and above zero, of each map of ``v`` (N, H, W).

    The asymmetric generalized Gaussian of eq. 7-10, by moments (Lasmar, Stitou and Berthoumieu,
    "Multiscale skewed heavy tailed model for texture analysis", ICIP 2009): with γ = σ_l / σ_r the
    shape has R = (E|v|)²/E[v²] · (γ³+1)(γ+1)/(γ²+1)² = ρ(shape), and the mean of the fitted
    distribution is (σ_r − σ_l)·√ρ.
    """
    above, side = v.clamp_min(0), v / (v.abs() + _SMALL)  # nearly ±1
    total, sum_above = _sum(v), _sum(above)
    total_square, square_above = _sum_of_squares(v), _sum_of_squares(above)
    square_below = (total_square - square_above).clamp_min(0)
    surplus, count = _sum(side), _sum(side.abs())  # above minus, and plus, below
    below_spread = (square_below / ((count - surplus) / 2).clamp_min(1)).sqrt()
    above_spread = (square_above / ((count + surplus) / 2).clamp_min(1)).sqrt()
    size = v.shape[1] * v.shape[2]
    absolute = (2 * sum_above - total) / size
    gamma = below_spread / above_spread.clamp_min(_tiny(v) ** 0.25)
    skew = (gamma**3 + 1) * (gamma + 1) / (gamma.square() + 1).square()
    ratio = absolute.square() / (total_square / size).clamp_min(_tiny(v)) * skew
    mean = (above_spread - below_spread) * ratio.clamp(*_ratio_range()).sqrt()
    spreads = [(spread + FLOOR).log() for spread in (below_spread, above_spread)]
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


def _smoothed(y: Tensor, dim: int) -> Tensor:
    """The Gaussian window along ``dim``, which gets 6 px shorter.

    Shifted sums: on a CPU nine times as fast here as PyTorch's convolution of one channel.
    """
    size = y.shape[dim] - _TAPS + 1
    window = _window()
    smoothed = window[0] * y.narrow(dim, 0, size)
    for k in range(1, _TAPS):
        smoothed.add_(y.narrow(dim, k, size), alpha=window[k])
    return smoothed


def _spread(y: Tensor, mean: Tensor, dim: int) -> Tensor:
    """Variance of ``y`` in the window along ``dim`` around ``mean``, its :func:`_smoothed`.

    With both directions by the law of total variance. E[y²] − E[y]² would be half the work, but
    leaves so few digits where a picture is bright and even that machines differ.
    """
    size = mean.shape[dim]
    window = _window()
    spread = torch.zeros_like(mean)
    for k in range(_TAPS):
        off = y.narrow(dim, k, size) - mean
        spread.addcmul_(off, off, value=window[k])
    return spread


def _sum(v: Tensor) -> Tensor:
    """(N,) of (N, H, W); row by row, since one long sum has another rounding on every machine."""
    return v.sum(2).sum(1)


def _sum_of_squares(v: Tensor) -> Tensor:
    """Likewise, without a copy of ``v``."""
    return torch.linalg.vector_norm(v, dim=2).square().sum(1)


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
