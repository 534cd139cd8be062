"""Any Pillow mode, with or without an ICC profile, to 8-bit sRGB."""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

_ROWS = 1024
"""Rows converted at a time, so that a large photo never exists as a second array of floats."""


def to_srgb(image: Image.Image) -> Image.Image:
    """``image`` (loaded, any mode) as 8-bit RGB in sRGB; itself, if that is what it is.

    - An ICC profile is followed; one that is damaged or made for other pixels is ignored.
    - Transparency is laid over white.
    - 16-bit and 32-bit integers are scaled by their full range, never clipped; floats count as
      [0, 1], or as [0, 255], [0, 65535] or [0, their maximum] when that says so.
    """
    profile = image.info.get("icc_profile") or b""
    if image.mode == "P":
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    elif image.mode in ("1", "L", "RGB") and "transparency" in image.info:
        image = image.convert("RGBA")
    elif image.mode in ("F", "I") or image.mode.startswith("I;16"):
        image = scale_to_8_bit(image)
    if image.mode not in ("LA", "La", "PA", "RGBA", "RGBa"):
        return _opaque_to_srgb(image, profile)
    image = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
    page = Image.new("RGB", image.size, "white")
    page.paste(_opaque_to_srgb(image.convert("RGB"), profile), mask=image.getchannel("A"))
    return page


def scale_to_8_bit(image: Image.Image) -> Image.Image:
    """A gray image of 16-bit or 32-bit integers, or of floats, as "L" over the same range."""
    values = np.asarray(image)
    if values.dtype == np.int32:
        values = values.view(np.uint32)
    strips = [slice(top, top + _ROWS) for top in range(0, len(values), _ROWS)]
    with np.errstate(invalid="ignore"):
        top = max(float(np.max(values[s], initial=0, where=np.isfinite(values[s]))) for s in strips)
    full = _full_scale(values.dtype, top)
    gray = np.empty(values.shape, np.uint8)
    for strip in strips:
        scaled = np.nan_to_num(values[strip].astype(np.float64) * (255 / full), posinf=255)
        gray[strip] = np.clip(np.rint(scaled), 0, 255)
    return Image.fromarray(gray)


def _full_scale(dtype: np.dtype, top: float) -> float:
    """The value that means white, from the type of the samples and their largest value."""
    if dtype.itemsize == 2 or (dtype.kind == "u" and top <= 65535):
        return 65535.0
    if dtype.kind == "u":
        return 2.0**32 - 1
    return next((full for full in (1.0, 255.0, 65535.0) if top <= full), top)


def _opaque_to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    transform = _transform(profile, image.mode) if profile else None
    if transform is None:
        return image if image.mode == "RGB" else image.convert("RGB")
    converted = ImageCms.applyTransform(image, transform)
    return image.convert("RGB") if converted is None else converted


@lru_cache(maxsize=64)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """From ``profile`` to sRGB, or None where there is nothing to do or no way to do it.

    Profiles that change no 8-bit value by more than one (most are sRGB itself) are skipped: to
    follow them costs more than to decode.
    """
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        srgb = ImageCms.createProfile("sRGB")
        transform = ImageCms.buildTransform(source, srgb, mode, "RGB")
        if mode == "RGB" and _is_identity(transform):
            return None
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    return transform


def _is_identity(transform: ImageCms.ImageCmsTransform) -> bool:
    """Whether an RGB transform leaves a 16³ lattice of colors where it is, to one 8-bit step."""
    steps = np.arange(0, 256, 17, dtype=np.uint8)
    lattice = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(64, 64, 3)
    moved = ImageCms.applyTransform(Image.fromarray(lattice), transform)
    return bool(np.abs(np.asarray(moved).astype(int) - lattice.astype(int)).max() <= 1)
