"""Labeled photos as mini-batches: each a pure function of (seed, number), whoever makes it."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from shamisa_cli.encoders.config import ViewingProtocol
from shamisa_cli.finetuning.config import FinetuneConfig
from shamisa_cli.imaging.crops import CropPlan, Place, crop_at
from shamisa_cli.imaging.decode import decode
from shamisa_cli.imaging.resample import rescale, resize, viewing_size
from shamisa_cli.seeds import generator
from shamisa_cli.training.feed import shuffled_order

ORDER, PLACES = range(2)
"""Names of the random streams of a run."""

_Member = tuple[int, bool, list[np.ndarray]]
"""An image, whether it is mirrored, and its crops."""


@dataclass(frozen=True, eq=False)
class Views:
    """What is looked at of some images, all of one size.

    Attributes
    ----------
    pixels : for each scale (n, 3, h, w) uint8, mirrored or not; empty where they are known.
    images : (n,) int64, which images they are of.
    mirrored : (n,) bool.
    """

    pixels: tuple[Tensor, ...]
    images: Tensor
    mirrored: Tensor


@dataclass(frozen=True, eq=False)
class Turned:
    """The photos of mini-batch ``number``, each mirrored the other way."""

    views: list[Views]
    number: int


class LabeledViews(Dataset[list[Views]]):
    """Map from the number of a mini-batch to its views, those of one size together.

    Parameters
    ----------
    paths : of all images of the dataset.
    train : (t,) int64, the images that mini-batches are made of; no other file is opened.
    protocol : how the model looks at photos.
    config : of the run.
    known : images, mirrored or not, whose pixels nobody needs; they are not decoded.
    turned : mirror each photo the other way.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        train: Tensor,
        protocol: ViewingProtocol,
        config: FinetuneConfig,
        known: Set[tuple[int, bool]] = frozenset(),
        *,
        turned: bool = False,
    ) -> None:
        self.paths = paths
        self.train = train
        self.protocol = protocol
        self.config = config
        self.known = known
        self.turned = turned
        self.plan = training_plan(protocol, config.crop)

    def __getitem__(self, number: int) -> list[Views]:
        count, seed = self.config.images, self.config.seed
        order = shuffled_order(len(self.train), number * count, count, seed, ORDER)
        images = self.train[order].tolist()
        draws = torch.rand((len(images), 3), generator=generator(seed, PLACES, number)).tolist()
        by_shape: dict[tuple[tuple[int, ...], ...], list[_Member]] = {}
        for image, (x, y, mirror) in zip(images, draws, strict=True):
            view = image, (mirror < 0.5) != self.turned
            crops = [] if view in self.known else self._crops(image, (x, y), mirrored=view[1])
            by_shape.setdefault(tuple(crop.shape for crop in crops), []).append((*view, crops))
        return [_stacked(members) for members in by_shape.values()]

    def _crops(self, image: int, place: Place, *, mirrored: bool) -> list[np.ndarray]:
        """(h, w, 3) uint8 of an image at each scale, at one place."""
        photo = decode(self.paths[image])
        size = viewing_size(photo.size, self.protocol.short_side, self.protocol.max_side)
        return crops_of(resize(photo, size), place, self.plan, mirrored=mirrored)


class TurnedViews(Dataset[list[Turned]]):
    """What goes with each mini-batch where a teacher looks at its photos too."""

    def __init__(self, turned: LabeledViews) -> None:
        self.turned = turned

    def __getitem__(self, number: int) -> list[Turned]:
        return [Turned(self.turned[number], number)]


class Together(Dataset[list[Any]]):
    """Mini-batches of several kinds, one after another."""

    def __init__(self, parts: Sequence[Dataset[list[Any]]]) -> None:
        self.parts = parts

    def __getitem__(self, number: int) -> list[Any]:
        return [each for part in self.parts for each in part[number]]


def crops_of(
    photo: Image.Image, place: Place, plan: CropPlan, *, mirrored: bool
) -> list[np.ndarray]:
    """(h, w, 3) uint8 of a photo at its viewing size, at each scale, at one place."""
    views = [rescale(photo, scale) for scale in plan.scales]
    crops = [crop_at(view, place, plan.crop_size(view.size)) for view in views]
    return [crop[:, ::-1] for crop in crops] if mirrored else crops


def training_plan(protocol: ViewingProtocol, crop: int | None) -> CropPlan:
    """What is cut for training: as for scoring, or crops of ``crop`` px."""
    plan = CropPlan(protocol.crops, protocol.crop, protocol.scales)
    return plan if crop is None else replace(plan, kind="five", side=crop)


def _stacked(members: Sequence[_Member]) -> Views:
    images, mirrored, pictures = zip(*members, strict=True)
    return Views(stacked(pictures), torch.tensor(images), torch.tensor(mirrored))


def stacked(pictures: Sequence[Sequence[np.ndarray]]) -> tuple[Tensor, ...]:
    """For each scale (n, 3, h, w) uint8 of n pictures, each (h, w, 3) at each scale."""
    scales = zip(*pictures, strict=True)
    return tuple(torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2) for crops in scales)
