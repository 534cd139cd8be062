"""The one resampler (docs/method.md §8): Pillow bicubic, antialiased, on 8-bit pixels.

Pictures that are to shrink to a quarter or less are first averaged over squares of 2, 4 or 8 px,
down to between two and four times the size that is wanted. JPEG's draft mode does just that while
it decodes; so a photo looks the same whether it was decoded in draft mode or not.
"""

from __future__ import annotations

from PIL import Image

_FACTORS = (8, 4, 2)
"""By which JPEG's draft mode can divide."""


def resize(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """``image`` (8-bit RGB) at ``size`` = (width, height) px; for training and scoring."""
    if image.size == size:
        return image
    factor = averaging_factor(image.size, size)
    if factor == 1:
        return image.resize(size, Image.Resampling.BICUBIC)
    extent = (0, 0, image.width / factor, image.height / factor)
    return image.reduce(factor).resize(size, Image.Resampling.BICUBIC, extent)


def averaging_factor(size: tuple[int, int], wanted: tuple[int, int]) -> int:
    """8, 4, 2 or 1: by what ``size`` can be divided and still be twice as large as ``wanted``."""
    room = min(size[0] // (2 * wanted[0]), size[1] // (2 * wanted[1]))
    return next((factor for factor in _FACTORS if factor <= room), 1)


def rescale(image: Image.Image, factor: float) -> Image.Image:
    """``image`` with both sides times ``factor``, rounded, at least 1 px."""
    return resize(image, scaled_size(image.size, factor))


def limit_short_side(image: Image.Image, short_side: int | None) -> Image.Image:
    """``image`` shrunk until its short side is at most ``short_side`` px; never enlarged."""
    return resize(image, viewing_size(image.size, short_side))


def viewing_size(
    size: tuple[int, int], short_side: int | None, max_side: int | None = None
) -> tuple[int, int]:
    """``size`` (width, height) px shrunk to at most these sides, in proportion; never enlarged."""
    factor = 1.0
    if short_side is not None:
        factor = min(factor, short_side / min(size))
    if max_side is not None:
        factor = min(factor, max_side / max(size))
    return scaled_size(size, factor)


def scaled_size(size: tuple[int, int], factor: float) -> tuple[int, int]:
    """``size`` (width, height) px with both sides times ``factor``, rounded, at least 1 px."""
    width, height = (max(1, round(side * factor)) for side in size)
    return width, height
