"""Frames: photos as bursts see them, and how alike two of them are."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from shamisa_cli.culling.capture import Capture
from shamisa_cli.culling.registration import Shift, detail, register
from shamisa_cli.errors import PhotoError
from shamisa_cli.imaging.decode import decode_photo
from shamisa_cli.imaging.resample import resize, viewing_size

SIDE = 384
"""px, the short side at which sharpness is looked at."""

_REGISTERED = 96
_FINE, _COARSE = 1.5, 10.0
_CELL = 8


@dataclass(frozen=True)
class Frame:
    """A scored photo.

    Attributes
    ----------
    path : of the photo.
    score : 0-100.
    features : (F,), those of the scoring pass, at unit length; None where distances between the
        model's features say nothing known.
    capture : by its EXIF.
    """

    path: str
    score: float
    features: np.ndarray | None = None
    capture: Capture = field(default_factory=Capture)


@dataclass(frozen=True)
class Look:
    """A photo small and gray.

    Attributes
    ----------
    detail : (h, w) float32, its detail at a short side of 96 px, for registration.
    energy : (2, h, w) float32, the mean squared second difference, down and across, in cells of 8×8
        px at a short side of 384.
    """

    detail: np.ndarray
    energy: np.ndarray


def feature_distance(first: Frame, second: Frame) -> float:
    """1 − cosine of the two photos' features; infinite where there are none."""
    if first.features is None or second.features is None:
        return float("inf")
    return 1 - float(first.features.astype(np.float32) @ second.features.astype(np.float32))


def shift_between(first: Look, second: Look) -> Shift:
    """By how much the camera turned; a likeness of −1 where the two differ in shape."""
    shapes = np.array([first.detail.shape, second.detail.shape])
    h, w = shapes.min(0)
    if (shapes.max(0) > 1.05 * shapes.min(0)).any():
        return Shift(0.0, 0.0, -1.0)
    return register(first.detail[:h, :w], second.detail[:h, :w])


def look_at(path: str, max_pixels: int) -> Look | None:
    """The photo ``path``, small and gray; None if it cannot be read any more."""
    try:
        photo = decode_photo(path, max_pixels=max_pixels, short_side=SIDE).image
    except PhotoError:
        return None
    return look_of(photo)


def look_of(photo: Image.Image) -> Look:
    """:class:`Look` of an 8-bit RGB picture."""
    gray = resize(photo, viewing_size(photo.size, SIDE, None)).convert("L")
    small = resize(gray.convert("RGB"), viewing_size(gray.size, _REGISTERED, None)).convert("L")
    return Look(
        detail(np.asarray(small), _FINE, _COARSE).astype(np.float32),
        _cell_energy(np.asarray(gray, dtype=np.float32)),
    )


def _cell_energy(gray: np.ndarray) -> np.ndarray:
    inner = 2 * gray[1:-1, 1:-1]
    down = gray[:-2, 1:-1] + gray[2:, 1:-1] - inner
    across = gray[1:-1, :-2] + gray[1:-1, 2:] - inner
    h, w = (side // _CELL for side in inner.shape)
    both = np.stack([down, across])[:, : h * _CELL, : w * _CELL]
    return np.square(both.reshape(2, h, _CELL, w, _CELL)).mean((2, 4))
