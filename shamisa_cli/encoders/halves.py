"""An EfficientNet's features in two halves: of the maps before a block, and of those from it on.

What comes out of the first half is all that the second one needs, so it can be kept.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch
from torch import Tensor

from shamisa_cli.encoders.backbones import is_efficientnet
from shamisa_cli.encoders.encoder import Encoder
from shamisa_cli.encoders.ends import further_ends
from shamisa_cli.encoders.regions import (
    Regions,
    head_maps,
    late_maps,
    map_of_features,
    maps_before,
    region_features,
)
from shamisa_cli.encoders.scene_statistics import scene_statistics


@dataclass(frozen=True, eq=False)
class Joint:
    """Where an encoder is cut.

    Attributes
    ----------
    block : the first of the second half; the first half is the stem and the blocks before.
    late : int64, the places of the second half's features among all.
    """

    block: int
    late: Tensor


@dataclass(frozen=True, eq=False)
class Early:
    """What comes out of the first half.

    Attributes
    ----------
    maps : (N, C, H, W), what ``joint.block`` gets.
    features : (N, d) float32 of the whole encoder, 0 where the second half's belong.
    joint : where the encoder is cut.
    """

    maps: Tensor
    features: Tensor
    joint: Joint

    def to(self, device: torch.device) -> Early:
        """The same on a device."""
        late = self.joint.late.to(device)
        return Early(self.maps.to(device), self.features.to(device), Joint(self.joint.block, late))


def can_be_cut(encoder: Encoder) -> bool:
    """Whether :func:`cut_at` knows how: an EfficientNet with ``pooling`` regions."""
    return encoder.pooling == "regions" and is_efficientnet(encoder.backbone)


def cut_at(encoder: Encoder, block: int) -> Joint:
    """The joint before ``block`` of an encoder that :func:`can_be_cut`.

    Further ends are in the second half whole: the joint is where the earliest of them starts, if
    ``block`` is later.
    """
    block = min([block, *(end.block for end in further_ends(encoder.backbone))])
    heads = head_maps(encoder.backbone, len(encoder.channels))
    of = map_of_features(encoder.channels, heads)
    return Joint(block, (of > block).nonzero().flatten())


def early_half(encoder: Encoder, x: Tensor, joint: Joint) -> Early:
    """The first half for crops x (N, 3, H, W), RGB in [0, 1]; scene statistics are in it."""
    maps = maps_before(encoder.backbone, (x - encoder.mean) / encoder.std, joint.block)
    regions = _weights(encoder.regions, slice(joint.block + 1))
    features = torch.zeros(len(x), encoder.feature_size, device=x.device)
    known = torch.ones(encoder.feature_size, dtype=torch.bool, device=x.device)
    known[joint.late] = False
    parts = [region_features(maps, regions, heads=())]
    if encoder.statistics == "scene":
        parts.append(encoder.regions.statistics**0.5 * scene_statistics(x))
    features[:, known] = torch.cat(parts, dim=1)
    return Early(maps[-1], features, joint)


def late_half(encoder: Encoder, early: Early) -> Tensor:
    """Features (N, d) float32, as of the whole encoder; gradients reach the second half."""
    maps = late_maps(encoder.backbone, early.maps.float(), early.joint.block)
    before = early.joint.block + 1
    regions = _weights(encoder.regions, slice(before, None))
    heads = [head - before for head in head_maps(encoder.backbone, before + len(maps))]
    return early.features.index_copy(1, early.joint.late, region_features(maps, regions, heads))


@torch.no_grad()
def cell_side(encoder: Encoder, joint: Joint) -> int:
    """Side in px of the part of a photo that one cell of the first half's maps stands for."""
    side = 64
    empty = torch.zeros(1, 3, side, side, device=encoder.mean.device)
    return side // maps_before(encoder.backbone, empty, joint.block)[-1].shape[-1]


def _weights(regions: Regions, some: slice) -> Regions:
    return dataclasses.replace(regions, maps=regions.maps[some])
