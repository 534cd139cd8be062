"""The one resampler of the project (method.md §8): Pillow bicubic, antialiased, on 8-bit pixels."""

from __future__ import annotations

from PIL import Image


def resize(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """``image`` (8-bit RGB) at ``size`` = (width, height) px; training and scoring both use this."""
    if image.size == size:
        return image
    return image.resize(size, Image.Resampling.BICUBIC)


def rescale(image: Image.Image, factor: float) -> Image.Image:
    """``image`` with both sides times ``factor``, rounded, at least 1 px."""
    width, height = (max(1, round(side * factor)) for side in image.size)
    return resize(image, (width, height))


def limit_short_side(image: Image.Image, short_side: int | None) -> Image.Image:
    """``image`` shrunk until its short side is at most ``short_side`` px; never enlarged."""
    if short_side is None or min(image.size) <= short_side:
        return image
    return rescale(image, short_side / min(image.size))
