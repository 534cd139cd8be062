"""Region pooling, ours: what a network's maps are like over a whole photo and place by place.

A mean over all places tells what a photo shows; people judge it by some places more than by others:
a bird before a blurred background is sharp. So each map is described three times: over the whole
photo, by the mean over a grid of places, and by the liveliest place. One pass over the photo serves
all three.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import chain, product
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from shamisa_cli.encoders.backbones import is_efficientnet
from shamisa_cli.encoders.ends import further_ends
from shamisa_cli.encoders.pooling import deviation_of, log_scale, variance_about
from shamisa_cli.errors import UsageError

GRID = 4
"""Places along each side."""

Place = TypeVar("Place", int, Tensor)


@dataclass(frozen=True)
class Regions:
    """How much each part of the features counts, as the variance that a ridge sees.

    Attributes
    ----------
    maps : ≥ 0, one for each map of :func:`network_maps`; empty counts each as 1.
    liveliest : of the largest deviation among the places, beside the weights of ``maps``.
    statistics : of scene statistics, where the model has them.
    """

    maps: tuple[float, ...] = ()
    liveliest: float = 0.05
    statistics: float = 0.05

    def __post_init__(self) -> None:
        weights = (*self.maps, self.liveliest, self.statistics)
        if not all(math.isfinite(weight) and weight >= 0 for weight in weights):
            raise ValueError("weights must be finite and at least 0")


def network_maps(backbone: nn.Module, x: Tensor) -> list[Tensor]:
    """The maps (N, C, H, W) of a timm backbone from first to last, for normalized crops ``x``.

    Of an EfficientNet: stem, every block and the head's convolution; then likewise of each further
    end. Of others: the stages.
    """
    net = cast(Any, backbone)
    if not is_efficientnet(backbone):
        return net.forward_intermediates(x, intermediates_only=True)
    (stem,) = maps_before(net, x, 0)
    return [stem, *late_maps(net, stem, 0)]


def head_maps(backbone: nn.Module, count: int) -> tuple[int, ...]:
    """Which of the ``count`` maps of :func:`network_maps` are a head's convolution, or the last."""
    heads = [count - 1]
    for end in reversed(further_ends(backbone)):
        heads.append(heads[-1] - len(end.blocks) - 1)
    return tuple(reversed(heads))


def maps_before(net: Any, x: Tensor, block: int) -> list[Tensor]:
    """The first of :func:`network_maps` of an EfficientNet: stem and the blocks before ``block``.

    The last of them is what ``block`` gets.
    """
    maps = [net.bn1(net.conv_stem(x))]
    for each in net.blocks[:block]:
        maps.append(each(maps[-1]))
    return maps


def maps_from(net: Any, found: Tensor, block: int) -> list[Tensor]:
    """What follows what ``block`` gets (N, C, H, W), up to the convolution of the head."""
    maps = [found]
    for each in net.blocks[block:]:
        maps.append(each(maps[-1]))
    return [*maps[1:], net.bn2(net.conv_head(maps[-1]))]


def late_maps(net: Any, found: Tensor, block: int) -> list[Tensor]:
    """All of :func:`network_maps` after :func:`maps_before`, from what ``block`` gets.

    No further end may start before ``block``.
    """
    first = [found, *maps_from(net, found, block)]
    others = [maps_from(end, first[end.block - block], 0) for end in further_ends(net)]
    return [*first[1:], *chain.from_iterable(others)]


def map_channels(backbone: nn.Module) -> list[int]:
    """Channels of each of :func:`network_maps`, seen by a run on an empty picture.

    Raises
    ------
    UsageError
        for a backbone that does not give them.
    """
    net, mode = cast(Any, backbone), backbone.training
    try:
        size = net.pretrained_cfg.get("input_size", (3, 224, 224))
        device = next(backbone.parameters()).device
        with torch.no_grad():
            maps = network_maps(backbone.eval(), torch.zeros(1, *size, device=device))
    except (AssertionError, AttributeError, RuntimeError) as error:
        name = type(backbone).__name__
        raise UsageError(f"{name} gives no maps for pooling = regions: {error}") from error
    finally:
        backbone.train(mode)
    return [each.shape[1] for each in maps]


def _or_last(heads: Collection[int] | None, count: int) -> Collection[int]:
    return (count - 1,) if heads is None else heads


def region_size(channels: Sequence[int], heads: Collection[int] | None = None) -> int:
    """Length of :func:`region_features`: five numbers a channel, two of ``heads``."""
    heads = _or_last(heads, len(channels))
    return sum((2 if k in heads else 5) * count for k, count in enumerate(channels))


def map_of_features(channels: Sequence[int], heads: Collection[int] | None = None) -> Tensor:
    """(F,) int64: which map each number of :func:`region_features` tells of."""
    number, count = torch.arange(len(channels)), torch.tensor(channels)
    heads = _or_last(heads, len(channels))
    has_deviation = torch.tensor([k not in heads for k in range(len(channels))])
    averages = number.repeat_interleave(torch.where(has_deviation, 2 * count, count))
    liveliest = number[has_deviation].repeat_interleave(count[has_deviation])
    return torch.cat([averages, averages, liveliest])


def region_features(
    maps: Sequence[Tensor], regions: Regions, heads: Collection[int] | None = None
) -> Tensor:
    """(N, F) float32 of maps (N, C, H, W): each part on a logarithmic scale, times its weight.

    In this order: over the whole photo, mean and deviation of each map (of ``heads``, whose
    averages are the network's own features, the mean alone); the same, as the mean over the places
    of a grid of 4×4; the largest deviation among the places. ``heads`` are numbers of maps, see
    :func:`head_maps`; None is the last.
    """
    heads = _or_last(heads, len(maps))
    weights = regions.maps or (1.0,) * len(maps)
    whole: list[Tensor] = []
    by_place: list[Tensor] = []
    liveliest: list[Tensor] = []
    for k, (found, weight) in enumerate(zip(maps, weights, strict=True)):
        found = found.float()
        mean, deviation = _moments(found, 1)
        place_mean, place_deviation = _moments(found, GRID)
        root = weight**0.5
        whole.append(root * _scaled(mean).mean(2))
        by_place.append(root * _scaled(place_mean).mean(2))
        if k not in heads:
            whole.append(root * _scaled(deviation).mean(2))
            by_place.append(root * _scaled(place_deviation).mean(2))
            liveliest.append(
                regions.liveliest**0.5 * _scaled(place_deviation.amax(2)[..., None]).mean(2)
            )
    return torch.cat([*whole, *by_place, *liveliest], dim=1)


def _moments(maps: Tensor, grid: int) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each channel in each of grid×grid places: two (N, C, grid²).

    Place i of a side of n px goes from ⌊i·n/grid⌋ to ⌈(i+1)·n/grid⌉.
    """
    if torch.compiler.is_compiling():  # exporters know no adaptive pooling of a free size
        return moments_by_matrices(maps, grid)
    mean = F.adaptive_avg_pool2d(maps, grid).flatten(2)
    rows, columns = (
        [slice(*_bounds(k, side, grid)) for k in range(grid)] for side in maps.shape[2:]
    )
    places = enumerate(product(rows, columns))
    variances = [variance_about(maps[..., row, col], mean[..., k]) for k, (row, col) in places]
    return mean, deviation_of(torch.stack(variances, dim=2))


def _bounds(place: Place, side: int, grid: int) -> tuple[Place, Place]:
    """Where a place of :func:`_moments` starts and ends among ``side`` px; a number, or many."""
    return place * side // grid, ((place + 1) * side + grid - 1) // grid


def moments_by_matrices(maps: Tensor, grid: int) -> tuple[Tensor, Tensor]:
    """The same by products with matrices: slower, and of any size in an exported graph.

    Products sum less exactly than pooling does, so each channel is first moved to a mean of 0.
    """
    center = maps.mean((2, 3), keepdim=True)
    rows, columns = (place_weights(side, grid).to(maps) for side in maps.shape[2:])

    def means(values: Tensor) -> Tensor:
        by_row = torch.einsum("gh,nchw->ncgw", rows, values)
        return torch.einsum("ncgw,kw->ncgk", by_row, columns).flatten(2)

    moved = maps - center
    mean = means(moved)
    return mean + center.flatten(2), deviation_of(means(moved.square()) - mean.square())


def place_weights(side: int, grid: int) -> Tensor:
    """(grid, side) float32: what each of ``side`` px counts in the mean of each place."""
    place, at = torch.arange(grid)[:, None], torch.arange(side)
    first, end = _bounds(place, side, grid)
    inside = (at >= first) & (at < end)
    return inside.float() / inside.sum(1, keepdim=True)


def _scaled(v: Tensor) -> Tensor:
    """Vectors (N, C, places) of unit length along the channels, on a logarithmic scale."""
    return log_scale(F.normalize(v, dim=1))
