"""What comes out of the layers that are not trained: computed once a view, and kept in memory.

A view is a photo as it is, or mirrored; what these layers make of it is the same at every step, in
every split. It is rounded to float16, kept or not: training does not depend on how much memory
there is. Looks at the validation part use it too, within about 1e-3 of the features as they are
without rounding; the test part is seen by the whole encoder.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from shamisa_cli.encoders.encoder import Encoder, train_last
from shamisa_cli.encoders.halves import Early, Joint, can_be_cut, cut_at, early_half, late_half
from shamisa_cli.evaluation.frozen_encoder import DatasetFeatures, FrozenEncoder, named_error
from shamisa_cli.evaluation.splits import Split
from shamisa_cli.finetuning.config import FinetuneConfig
from shamisa_cli.finetuning.views import Views
from shamisa_cli.imaging.ahead import map_ahead
from shamisa_cli.imaging.decode import decode
from shamisa_cli.progress import progress_bar

View = tuple[int, bool]
"""An image of the dataset, and whether it is mirrored."""

Looked = tuple[Sequence[Tensor | Early], Tensor]
"""What the model gets of some views at each scale, and which images they are of."""


class Kept:
    """The first layers of an encoder for the photos of a dataset. State: what they made of them.

    Parameters
    ----------
    frozen, found : the encoder that training starts from, and its features of the dataset.
    joint : before its first layer that is trained.
    megabytes : at most so many are kept; other views are computed each time.
    """

    def __init__(
        self, frozen: FrozenEncoder, found: DatasetFeatures, joint: Joint, megabytes: float
    ) -> None:
        self.paths = found.dataset.images
        self.quiet = frozen.quiet
        self.short_side = found.dataset.info.short_side
        self.workers = frozen.workers
        self.extractor = frozen.tools(self.short_side)[0]
        self.joint = joint
        self.room = megabytes * 1e6
        self._kept: dict[View, list[Early]] = {}

    def fill(self, views: Iterable[View]) -> frozenset[View]:
        """Keep these views, the first of them first, until there is no room left; all kept ones.

        A bar tells how far it is.
        """
        missing: dict[int, list[bool]] = {}
        for image, mirrored in views:
            if (image, mirrored) not in self._kept:
                missing.setdefault(image, []).append(mirrored)
        with progress_bar(len(missing), "first layers", quiet=self.quiet or not missing) as bar:
            for image, crops in self._cut(missing):
                for side in missing[image]:
                    if not self._keep((image, side), self._first_half(crops, mirrored=side)):
                        return frozenset(self._kept)
                bar.update(1)
        return frozenset(self._kept)

    def early(
        self, batch: Sequence[Views], *, turned: bool = False
    ) -> list[tuple[list[Early], Tensor]]:
        """A mini-batch as the second half gets it: those of one size together, and which images.

        It is the same, and in the same order, whatever is kept. Photos that are ``turned`` come in
        the order of the same photos as they were, also where one is there twice.
        """
        found: list[tuple[View, list[Early]]] = []
        for views in batch:
            for k, view in enumerate(
                zip(views.images.tolist(), views.mirrored.tolist(), strict=True)
            ):
                pixels = [scale[k : k + 1] for scale in views.pixels]
                found.append((view, self._from_pixels(pixels) if pixels else self._kept[view]))
        by_shape: dict[tuple[torch.Size, ...], list[tuple[View, list[Early]]]] = {}
        for view, scales in sorted(found, key=lambda each: (each[0][0], each[0][1] != turned)):
            shapes = tuple(each.maps.shape for each in scales)
            by_shape.setdefault(shapes, []).append((view, scales))
        return [
            (
                [_stacked(scale) for scale in zip(*(scales for _, scales in some), strict=True)],
                torch.tensor([image for (image, _), _ in some]),
            )
            for some in by_shape.values()
        ]

    def features_of(self, tuned: FrozenEncoder, images: Tensor) -> Tensor:
        """(n, 1, F) features of ``images`` (n,) by an encoder with the same first half."""
        ready = tuned.tools(self.short_side)[0].encoder
        places: dict[int, list[int]] = {}
        for at, image in enumerate(images.tolist()):
            places.setdefault(image, []).append(at)
        made = torch.empty(len(images), 1, self.extractor.size)
        missing = [image for image in places if (image, False) not in self._kept]
        found = ((image, self._kept[image, False]) for image in places if image not in set(missing))
        for image, scales in found:
            made[places[image]] = self._late(ready, scales)
        for image, crops in self._cut(missing):
            made[places[image]] = self._late(ready, self._first_half(crops, mirrored=False))
        return made

    def _late(self, ready: Encoder, scales: Sequence[Early]) -> Tensor:
        with torch.inference_mode(), self._autocast():
            device = self.extractor.device
            return torch.cat([late_half(ready, each.to(device)).cpu() for each in scales], dim=1)

    def _cut(self, images: Iterable[int]) -> Iterable[tuple[int, list[np.ndarray]]]:
        """Images with their pixels (1, h, w, 3) at each scale, decoded ahead in threads."""

        def crops_of(image: int) -> list[np.ndarray]:
            (crops,) = self.extractor.cut(decode(self.paths[image]))
            return crops

        for image, crops in map_ahead(crops_of, images, self.workers):
            if isinstance(crops, Exception):
                raise named_error(self.paths[image], crops)
            yield image, crops

    def _first_half(self, crops: Sequence[np.ndarray], *, mirrored: bool) -> list[Early]:
        turned = [each[:, :, ::-1].copy() if mirrored else each for each in crops]
        return self._from_pixels([torch.from_numpy(each).permute(0, 3, 1, 2) for each in turned])

    @torch.no_grad()
    def _from_pixels(self, scales: Sequence[Tensor]) -> list[Early]:
        """The first half for one view, uint8 (1, 3, h, w) at each scale; on the CPU, rounded."""
        made = []
        for pixels in scales:
            x = pixels.contiguous(memory_format=torch.channels_last).to(self.extractor.device)
            with self._autocast():
                early = early_half(self.extractor.encoder, x.float() / 255, self.joint)
            made.append(Early(early.maps.half().cpu(), early.features.cpu(), self.joint))
        return made

    def _autocast(self) -> torch.autocast:
        kind, bf16 = self.extractor.device.type, self.extractor.bf16
        return torch.autocast(kind, torch.bfloat16, enabled=bf16)

    def _keep(self, view: View, scales: list[Early]) -> bool:
        """Keep a view if there is room for it."""
        size = sum(each.maps.nbytes + each.features.nbytes for each in scales)
        if size > self.room:
            return False
        self.room -= size
        self._kept[view] = scales
        return True


def keep_early(
    frozen: FrozenEncoder, found: DatasetFeatures, config: FinetuneConfig
) -> Kept | None:
    """For all runs on a dataset; None where the first layers cannot be had apart.

    They can where photos are seen whole by an encoder that
    :func:`~shamisa_cli.encoders.halves.can_be_cut`, its stem is not trained, and nothing else asks
    for pixels.
    """
    whole = config.crop is None and frozen.protocol.crops == "whole"
    if not whole or looks_at_pixels(config) or not can_be_cut(frozen.encoder):
        return None
    block = first_trained_block(frozen.encoder.backbone, config.trained)
    if block is None:
        return None
    return Kept(frozen, found, cut_at(frozen.encoder, block), config.keep_mb)


def looks_at_pixels(config: FinetuneConfig) -> bool:
    """Whether a run says where people look by the pixels, so that no layer can be kept apart."""
    return config.contrasts and config.contrast.saliency in ("attention", "spectral")


def first_trained_block(backbone: nn.Module, share: float) -> int | None:
    """Number of the first block that ``share`` of the layers trains; None if the stem is."""
    net = copy.deepcopy(backbone)
    train_last(net, share)
    names = [name for name, parameter in net.named_parameters() if parameter.requires_grad]
    if any(name.startswith(("conv_stem", "bn1")) for name in names):
        return None
    blocks = [int(name.split(".")[1]) for name in names if name.startswith("blocks.")]
    return min(blocks, default=len(net.get_submodule("blocks")))  # type: ignore[arg-type]


def views_of(split: Split) -> list[View]:
    """What is looked at of a split, the most used first: photos to train on, then to validate."""
    train, validation = split.train.tolist(), split.val.tolist()
    both = [(image, mirrored) for image in train for mirrored in (False, True)]
    return [*both, *((image, False) for image in validation)]


def looked(kept: Kept | None, batch: Sequence[Views], *, turned: bool = False) -> list[Looked]:
    """Some views as the model gets them, those of one size together; see :meth:`Kept.early`."""
    if kept is None:
        return [(views.pixels, views.images) for views in batch]
    return [*kept.early(batch, turned=turned)]


def _stacked(views: Sequence[Early]) -> Early:
    maps = torch.cat([each.maps for each in views])
    return Early(maps, torch.cat([each.features for each in views]), views[0].joint)
