"""Edits: photos changed in ways of which anyone can say how much the score should move.

Ladders teach what damage costs. They do not say what must cost nothing: a mirror image is as good
as the photo, and hardly anybody sees JPEG at quality 95. And they compare no kinds: most people
mind a blur that takes all detail more than faint grain.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image, ImageFilter, ImageOps
from torch import Tensor

from shamisa_cli.distortions.compression import jpeg_bytes
from shamisa_cli.imaging.arrays import to_image, to_tensor

Edit = Callable[[Image.Image, int], Image.Image]
"""A photo (8-bit RGB) and a seed to the changed photo."""


def _shrunk(share: float) -> Edit:
    def edit(photo: Image.Image, seed: int) -> Image.Image:
        size = [max(1, round(share * side)) for side in photo.size]
        return photo.resize((size[0], size[1]), Image.Resampling.LANCZOS)

    return edit


def _compressed(quality: int) -> Edit:
    def edit(photo: Image.Image, seed: int) -> Image.Image:
        return Image.open(io.BytesIO(jpeg_bytes(photo, quality))).convert("RGB")

    return edit


def _grain(photo: Image.Image, seed: int) -> Image.Image:
    """Gaussian noise with a standard deviation of 2 gray levels of 255."""
    pixels = to_tensor(photo)
    noise = torch.randn(pixels.shape, generator=torch.Generator().manual_seed(seed))
    return to_image((pixels + 2 / 255 * noise).clamp(0, 1))


EDITS: Mapping[str, Edit] = {
    "half": _shrunk(0.5),
    "smaller": _shrunk(0.95),
    "unsharp": lambda photo, seed: photo.filter(ImageFilter.UnsharpMask(2, 80, 0)),
    "gray": lambda photo, seed: ImageOps.grayscale(photo).convert("RGB"),
    "jpeg95": _compressed(95),
    "mirror": lambda photo, seed: ImageOps.mirror(photo),
    "blur": lambda photo, seed: photo.filter(ImageFilter.GaussianBlur(2)),
    "jpeg50": _compressed(50),
    "grain": _grain,
}
"""By name: half the size; 5 % smaller; an unsharp mask of radius 2 px and 80 %; black and white;
JPEG; mirrored left to right; Gaussian blur of σ 2 px; faint grain."""

HARMLESS: Mapping[str, float] = {
    "half": 2.0,
    "unsharp": 1.0,
    "gray": 3.0,
    "smaller": 8.0,
    "jpeg95": 8.0,
    "mirror": 12.0,
}
"""Edits that should leave the score as it is, and how much each counts."""


@dataclass(frozen=True)
class Order:
    """That a photo scores higher under one edit than under another, by ``gap`` points at least."""

    better: str
    worse: str
    gap: float


AS_IT_IS = "as it is"

ORDERS = (
    Order(AS_IT_IS, "blur", 20.0),
    Order(AS_IT_IS, "jpeg50", 4.0),
    Order("grain", "jpeg50", 2.0),
    Order(AS_IT_IS, "grain", 0.5),
)


@dataclass(frozen=True, eq=False)
class EditedPhotos:
    """Features of n photos, as they are and under every edit of :data:`EDITS`.

    Attributes
    ----------
    features : by name, also :data:`AS_IT_IS`; (n, F) each, the mean over the crops.
    photos : n paths.
    others : (m, F) features of other good photos, as they are; every selection has them.
    """

    features: Mapping[str, Tensor]
    photos: tuple[Path, ...]
    others: Tensor | None = None

    @property
    def as_they_are(self) -> Tensor:
        """(n + m, F), of all photos, others last."""
        own = self.features[AS_IT_IS]
        return own if self.others is None else torch.cat([own, self.others.to(own.dtype)])

    def select(self, photos: Collection[Path]) -> EditedPhotos:
        """Those of ``photos``."""
        at = [i for i, path in enumerate(self.photos) if path in photos]
        rows = {name: each[at] for name, each in self.features.items()}
        return EditedPhotos(rows, tuple(self.photos[i] for i in at), self.others)

    def project(self, basis: Tensor) -> EditedPhotos:
        """With features (n, r) along the directions ``basis`` (F, r)."""
        rows = {name: each.double() @ basis for name, each in self.features.items()}
        others = None if self.others is None else self.others.double() @ basis
        return EditedPhotos(rows, self.photos, others)
