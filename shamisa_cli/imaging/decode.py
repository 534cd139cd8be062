"""Photos from files: any usual format to 8-bit sRGB."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageOps

MAX_PIXELS = 256_000_000


def decode(path: str | Path, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """The photo in ``path`` as 8-bit RGB, upright."""
    with Image.open(path) as image:
        return ImageOps.exif_transpose(image).convert("RGB")
