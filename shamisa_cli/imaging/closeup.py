"""A part of a photo at 1:1, and the whole photo on which its place is marked."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image, ImageDraw

from shamisa_cli.imaging.resample import resize, scaled_size

Box = tuple[int, int, int, int]
"""Left, top, right, bottom, px; right and bottom are just outside."""

_CELLS = 16
"""Detail is measured on a picture on which the shorter side of the box is about so many px."""
_FRAME = (255, 45, 85)
_OUTLINE = (255, 255, 255)


def telling_box(photo: Image.Image, size: tuple[int, int]) -> Box:
    """The place of ``size`` (width, height) px, or less in a smaller photo, that shows damage best.

    Blur shows on edges, noise and blocks on smooth areas: where the square root of the differences
    between neighbors varies most, there are both. It is measured on a small gray picture, so that
    grain does not count. Of equal places the first is taken, by rows.
    """
    width, height = min(size[0], photo.width), min(size[1], photo.height)
    step = max(1, min(width, height) // _CELLS)
    small = np.asarray(photo.convert("L").reduce(step), np.float64)
    detail = np.zeros_like(small)
    detail[:, 1:] += abs(np.diff(small, axis=1))
    detail[1:] += abs(np.diff(small, axis=0))
    window = max(1, height // step), max(1, width // step)
    mean = sliding_window_view(np.sqrt(detail), window).mean((2, 3))
    spread = sliding_window_view(detail, window).mean((2, 3)) - mean**2
    row, column = np.unravel_index(int(spread.argmax()), spread.shape)
    left = min(int(column) * step, photo.width - width)
    top = min(int(row) * step, photo.height - height)
    return left, top, left + width, top + height


def marked(photo: Image.Image, box: Box, within: tuple[int, int]) -> Image.Image:
    """The whole ``photo`` (8-bit RGB), shrunk to fit ``within``, with a frame around ``box``.

    It is never enlarged. There is no frame where the box is the whole photo.
    """
    factor = min(1.0, within[0] / photo.width, within[1] / photo.height)
    small = resize(photo, scaled_size(photo.size, factor)).copy()
    if box == (0, 0, *photo.size):
        return small
    left, top, right, bottom = (round(each * factor) for each in box)
    draw = ImageDraw.Draw(small)
    draw.rectangle((left - 1, top - 1, right, bottom), outline=_OUTLINE, width=4)
    draw.rectangle((left, top, right - 1, bottom - 1), outline=_FRAME, width=2)
    return small
