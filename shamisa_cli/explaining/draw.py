"""A map of local quality, drawn over its photo with a scale, and written as numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, PngImagePlugin
from torch import Tensor

from shamisa_cli.errors import UsageError
from shamisa_cli.explaining.places import QualityMap
from shamisa_cli.files import MARK, replacing
from shamisa_cli.imaging.lettering import fitted_lines, font

PALETTE = ((178, 24, 43), (239, 138, 98), (247, 247, 247), (103, 169, 207), (33, 102, 172))
"""From what takes most, by nothing, to what adds most: red to blue, told apart by all eyes."""

LEAST_RANGE = 10.0
"""Points at the ends of the scale, at least: small differences are not to look large."""

_INK = 0.55
"""How much of the palette is seen where a place takes or adds as much as the scale shows."""
_MARGIN, _LETTERS = 12, 18
_BACKGROUND, _TEXT = (24, 24, 24), (235, 235, 235)

FULL_SCALE = 100.0
"""Points at the largest value of a 16-bit picture."""


def draw_map(picture: Image.Image, quality: QualityMap, caption: str) -> Image.Image:
    """``picture`` (8-bit RGB) under the points that each place adds or takes, a scale beneath.

    Where a place differs little from the mean the picture stays as it is.
    """
    added = quality.on_grid(picture.size) - quality.points.mean()
    reach = max(LEAST_RANGE, float(quality.added.abs().max()))
    share = (added / reach).clamp(-1, 1).numpy()
    gray = np.asarray(picture.convert("L").convert("RGB"), np.float32)
    ink = _INK * np.abs(share)[..., None] ** 0.5
    mixed = gray * (1 - ink) + _colors(share) * ink
    over = Image.fromarray(mixed.round().clip(0, 255).astype(np.uint8))
    return _with_scale(over, reach, caption)


def write_points(points: Tensor, path: Path) -> None:
    """Write local scores (height, width) as ``.npy`` (float32) or ``.png`` (16 bits).

    In a picture 0 is 0 points and 65535 is 100; what lies beyond is clipped.

    Raises
    ------
    UsageError
        for another ending.
    """
    values = points.numpy()
    if path.suffix.lower() == ".npy":
        with replacing(path) as part, part.open("wb") as file:
            np.save(file, values.astype(np.float32))
        return
    if path.suffix.lower() != ".png":
        raise UsageError(f"{path}: local scores are written as .npy or .png (16 bits)")
    levels = (values / FULL_SCALE * 65535).round().clip(0, 65535).astype(np.uint16)
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Software", MARK)
    with replacing(path) as part:
        Image.fromarray(levels).save(part, "PNG", pnginfo=notes)


def _colors(share: np.ndarray) -> np.ndarray:
    """(…, 3) float32 RGB 0-255 of shares in [-1, 1], between the colors of the palette."""
    knots = np.linspace(-1, 1, len(PALETTE))
    channels = np.array(PALETTE, np.float32).T
    return np.stack([np.interp(share, knots, each) for each in channels], -1).astype(np.float32)


def _with_scale(over: Image.Image, reach: float, caption: str) -> Image.Image:
    """The picture, and below it the caption and the scale from −reach to +reach points."""
    letters = font(_LETTERS)
    width = max(over.width, 20 * _LETTERS)
    lines = fitted_lines(caption, width - 2 * _MARGIN, letters)
    step = round(1.4 * _LETTERS)
    height = over.height + 2 * _MARGIN + step * (len(lines) + 2)
    sheet = Image.new("RGB", (width, height), _BACKGROUND)
    sheet.paste(over, ((width - over.width) // 2, 0))
    draw = ImageDraw.Draw(sheet)
    top = over.height + _MARGIN
    for line in lines:
        draw.text((_MARGIN, top), line, _TEXT, letters)
        top += step
    length = width - 2 * _MARGIN
    bar = _colors(np.linspace(-1, 1, length))[None].repeat(_LETTERS, 0)
    sheet.paste(Image.fromarray(bar.round().astype(np.uint8)), (_MARGIN, top))
    top += step
    marks = ((0.0, f"takes {reach:.0f} points"), (0.5, "0"), (1.0, f"adds {reach:.0f}"))
    for at, text in marks:
        left = _MARGIN + at * (length - letters.getlength(text))
        draw.text((left, top), text, _TEXT, letters)
    return sheet
