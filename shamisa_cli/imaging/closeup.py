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


def sharpest_boxes(photo: Image.Image, side: int, count: int) -> list[Box]:
    """Up to ``count`` places of side×side px, apart, where ``photo`` (8-bit RGB) is sharpest.

    Places lie on a grid of half their side. The sharpest has the largest mean difference between
    neighboring pixels; of equal ones the first is taken, by rows. The photo has to be as large as a
    place. It is read in strips: beside it, memory is that of a few rows of places.
    """
    step = side // 2
    rows, columns = photo.height // step, photo.width // step
    sums = np.array([_strip_sums(photo, top * step, step, columns) for top in range(rows)])
    windows = sliding_window_view(sums, (2, 2)).sum((2, 3))
    found: list[tuple[int, int]] = []
    for at in np.argsort(-windows, axis=None, kind="stable").tolist():
        row, column = divmod(at, windows.shape[1])
        if all(abs(row - r) > 1 or abs(column - c) > 1 for r, c in found):
            found.append((row, column))
        if len(found) == count:
            break
    corners = [(column * step, row * step) for row, column in found]
    return [(left, top, left + side, top + side) for left, top in corners]


def _strip_sums(photo: Image.Image, top: int, step: int, columns: int) -> np.ndarray:
    """(columns,) float64: |dx| + |dy| of the gray pixels, summed over cells of step×step px."""
    bottom, right = min(top + step + 1, photo.height), min(columns * step + 1, photo.width)
    gray = np.asarray(photo.crop((0, top, right, bottom)).convert("L"), np.int16)
    changes = np.zeros((step, columns * step), np.int16)
    across, down = np.abs(np.diff(gray, axis=1))[:step], np.abs(np.diff(gray, axis=0))
    changes[:, : across.shape[1]] += across
    changes[: len(down)] += down[:, : columns * step]
    return changes.reshape(step, columns, step).sum((0, 2), dtype=np.float64)


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
