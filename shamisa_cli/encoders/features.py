"""Photos to features: the one path that scoring and evaluation share (docs/method.md §6)."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from shamisa_cli.encoders.config import ViewingProtocol
from shamisa_cli.encoders.encoder import Encoder
from shamisa_cli.encoders.fold import fold_batch_norm
from shamisa_cli.encoders.precision import (
    choose_device,
    computes_in_bf16,
    to_mixed_precision,
)
from shamisa_cli.encoders.same_padding import without_run_time_padding
from shamisa_cli.errors import PhotoError, UsageError
from shamisa_cli.imaging.crops import FIVE, CropPlan, crop_batches
from shamisa_cli.imaging.resample import resize, viewing_size

CropBatches = Iterable[list[np.ndarray]]
"""Crops of one photo, some places at a time: for each scale an array (n, h, w, 3) uint8."""

MAX_WHOLE_PIXELS = 16_000_000
"""The largest picture that ``whole`` takes as one crop; its activations take gigabytes."""

_ACCELERATOR_PHOTOS = 16
"""Photos in one pass on an accelerator; fixed, since another shape may round differently."""


class FeatureExtractor:
    """An encoder made ready for inference, and the protocol by which it looks at photos.

    The features of a photo do not depend on the photos before, after or beside it: every pass has
    one fixed shape, filled up with black crops where photos are missing. On the CPU a pass is one
    photo, which costs nothing there (10 crops run as fast as 80).

    Parameters
    ----------
    encoder : float32; it is copied, not changed.
    protocol : viewing size, crops and scales.
    device : ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
    precision : ``fp32``; ``bf16``; or ``auto``, which is bf16 where it pays, see
        :func:`~shamisa_cli.encoders.precision.computes_in_bf16`.

    Attributes
    ----------
    photos_per_pass : five-crop photos that go through the encoder together.
    bf16 : whether convolutions and linear layers run in bfloat16.
    """

    def __init__(
        self,
        encoder: Encoder,
        protocol: ViewingProtocol,
        device: str = "auto",
        precision: str = "auto",
    ) -> None:
        if precision not in ("auto", "fp32", "bf16"):
            raise UsageError(f"unknown precision {precision!r}: expected auto, fp32 or bf16")
        self.protocol = protocol
        self.plan = CropPlan(protocol.crops, protocol.crop, protocol.scales)
        self.device = choose_device(device)
        self.bf16 = computes_in_bf16(precision, encoder, self.device)
        self.photos_per_pass = 1 if self.device.type == "cpu" else _ACCELERATOR_PHOTOS
        self.encoder = _for_inference(encoder, protocol, self.device, self.bf16)

    @property
    def size(self) -> int:
        """F = S·d, the length of one place's features."""
        return self.encoder.feature_size * len(self.protocol.scales)

    def viewing_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """(width, height) px at which a photo of ``size`` is looked at."""
        return viewing_size(size, self.protocol.short_side, self.protocol.max_side)

    def features(self, image: Image.Image) -> Tensor:
        """(K, S·d) float32 on the CPU: one row a place, the scales' unit-length h side by side.

        Parameters
        ----------
        image : 8-bit RGB of any size.

        Raises
        ------
        PhotoError
            if ``whole`` would have to take more than :data:`MAX_WHOLE_PIXELS` at once.
        """
        return self.features_of([self.cut(image)])[0]

    def features_many(self, images: Iterable[Image.Image]) -> Iterator[Tensor]:
        """:meth:`features` of each image, in order, as many at a time as fill a pass."""
        waiting: list[CropBatches] = []
        for image in images:
            waiting.append(self.cut(image))
            if len(waiting) == self.photos_per_pass:
                yield from self.features_of(waiting)
                waiting = []
        yield from self.features_of(waiting)

    def cut(self, image: Image.Image) -> CropBatches:
        """The crops of ``image``, for :meth:`features_of`; pure, for threads that work ahead.

        With ``tiles`` they are cut when they are asked for, so that memory does not grow with the
        photo beyond the photo itself.
        """
        size = self.viewing_size(image.size)
        width, height = self.plan.crop_size(size)
        if width * height > MAX_WHOLE_PIXELS:
            raise PhotoError(
                f"{width}×{height} px is too much for one crop; use crops five, or a smaller size"
            )
        places = len(FIVE) * self.photos_per_pass
        batches = crop_batches(resize(image, size), self.plan, places)
        return batches if self.plan.kind == "tiles" else list(batches)

    @torch.inference_mode()
    def features_of(self, photos: Sequence[CropBatches]) -> list[Tensor]:
        """:meth:`features` of photos from their crops, see :meth:`cut`."""
        if self.plan.kind != "five":
            return [torch.cat([self._features(batch) for batch in photo]) for photo in photos]
        found: list[Tensor] = []
        for start in range(0, len(photos), self.photos_per_pass):
            some = [next(iter(photo)) for photo in photos[start : start + self.photos_per_pass]]
            together = [np.concatenate(crops) for crops in zip(*some, strict=True)]
            found += self._features(together).split(len(FIVE))
        return found

    @property
    def has_cells(self) -> bool:
        """Whether :meth:`features_and_cells` can tell places apart: of ``regions``, seen whole."""
        return self.encoder.pooling == "regions" and self.plan.kind == "whole"

    @torch.inference_mode()
    def check_cells(self) -> None:
        """A UsageError unless :attr:`has_cells`."""
        if not self.has_cells:
            raise UsageError("this model has no cells: it needs pooling regions and crops whole")

    def features_and_cells(self, photo: CropBatches) -> tuple[Tensor, Tensor]:
        """:meth:`features` (1, F) of a photo, and (C, rows, columns) of its cells, from one pass.

        Cells are of the first scale; see :func:`~shamisa_cli.encoders.cells.cell_features`.

        Raises
        ------
        UsageError
            unless :attr:`has_cells`.
        """
        self.check_cells()
        (crops,) = photo
        first, *others = crops
        with _autocast(self.device, self.bf16):
            features, cells = self.encoder.forward_cells(self._to_device(first))
        rest = [self._encode(pixels) for pixels in others]
        return torch.cat([features.cpu(), *rest], dim=1), cells[0].float().cpu()

    def _features(self, crops: list[np.ndarray]) -> Tensor:
        """(n, S·d) from one array (n, h, w, 3) a scale."""
        if self.plan.kind == "whole":
            return torch.cat([self._encode(pixels) for pixels in crops], dim=1)
        pixels = np.concatenate(crops)
        per_pass = len(FIVE) * self.photos_per_pass * len(crops)
        missing = per_pass - len(pixels)
        h = self._encode(np.pad(pixels, ((0, missing), (0, 0), (0, 0), (0, 0))))[: len(pixels)]
        return torch.cat(h.chunk(len(crops)), dim=1)

    def _encode(self, pixels: np.ndarray) -> Tensor:
        """h (N, d) float32 on the CPU from pixels (N, h, w, 3) uint8."""
        with _autocast(self.device, self.bf16):
            return self.encoder(self._to_device(pixels)).cpu()

    def _to_device(self, pixels: np.ndarray) -> Tensor:
        """RGB in [0, 1], (N, 3, h, w), from pixels (N, h, w, 3) uint8."""
        return torch.from_numpy(pixels).to(self.device).permute(0, 3, 1, 2).float() / 255


def _for_inference(
    encoder: Encoder, protocol: ViewingProtocol, device: torch.device, bf16: bool
) -> Encoder:
    """A copy of ``encoder``: folded, channels last, and mixed in precision if ``bf16``."""
    example = torch.rand(2, 3, protocol.crop, protocol.crop, generator=torch.Generator())
    plain = copy.copy(encoder)  # folding copies its weights
    plain.statistics = "none"  # the checks below are about h
    if any(each.device.type != "cpu" or each.dtype != torch.float32 for each in plain.parameters()):
        plain = copy.deepcopy(plain).cpu().float()
    ready = without_run_time_padding(fold_batch_norm(plain, example)).requires_grad_(False)
    if protocol.crops == "whole":
        _check_any_size(ready, example)
    if bf16:
        ready = to_mixed_precision(ready, example, 0.125 if encoder.pooling == "regions" else 0.5)
    ready.statistics = encoder.statistics
    return ready.to(device).to(memory_format=torch.channels_last)


def _check_any_size(encoder: Encoder, example: Tensor) -> None:
    side = example.shape[-1]
    try:
        with torch.no_grad():
            encoder(torch.nn.functional.pad(example, (0, side // 2)))
    except (AssertionError, RuntimeError, ValueError) as error:
        raise UsageError(
            f"this backbone takes only {side}×{side} px, so it cannot see a photo whole; "
            "use crops five"
        ) from error


def _autocast(device: torch.device, bf16: bool) -> AbstractContextManager[object]:
    """Normalizations and softmax stay in float32 under autocast; the large products do not."""
    return torch.autocast(device.type, dtype=torch.bfloat16) if bf16 else nullcontext()
