"""A map of local quality, drawn over its photo with a scale, and written as numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, PngImagePlugin
from torch import Tensor

from shamisa_cli.errors import UsageError
from shamisa_cli.explaining.explainer import NOTHING, Explanation
from shamisa_cli.files import MARK, replacing
from shamisa_cli.imaging.lettering import fitted_lines, font
from shamisa_cli.imaging.save import save_picture

PALETTE = ((178, 24, 43), (239, 138, 98), (247, 247, 247), (103, 169, 207), (33, 102, 172))
"""From what takes most, by nothing, to what adds most: red to blue, told apart by all eyes."""

LEAST_RANGE = 10.0
"""Points at the ends of the scale, at least: small differences are not to look large."""

_INK = 0.55
"""How much of the palette is seen where a place takes or adds as much as the scale shows."""
_MARGIN, _LETTERS = 12, 18
_BACKGROUND, _TEXT = (24, 24, 24), (235, 235, 235)

PER_POINT = 327.67
"""Levels of a 16-bit picture for each point; 32768 is 0 points."""


def save_map(explanation: Explanation, path: Path) -> None:
    """Draw an explanation's map over its picture, and write that in the format of the ending."""
    save_picture(draw_map(explanation), path)


def draw_map(explanation: Explanation) -> Image.Image:
    """The picture that the model saw, in gray, under the points that each place adds or takes.

    Where a place does neither the picture stays as it is. Beneath are the score, in words what it
    comes from, and the scale.
    """
    picture, quality = explanation.picture, explanation.quality
    if picture is None or quality is None:
        raise ValueError("a photo that failed has no map")
    reach = max(LEAST_RANGE, float(quality.points.abs().max()))
    share = (quality.on_view() / reach).clamp(-1, 1).numpy()
    gray = np.asarray(picture.convert("L").convert("RGB"), np.float32)
    ink = _INK * np.abs(share)[..., None] ** 0.5
    mixed = gray * (1 - ink) + _colors(share) * ink
    over = Image.fromarray(mixed.round().clip(0, 255).astype(np.uint8))
    return _with_scale(over, reach, caption_of(explanation))


def caption_of(explanation: Explanation) -> str:
    """What is written beneath a map."""
    score, quality = explanation.score, explanation.quality
    if quality is None:
        return score.error
    mean = float(quality.points.mean())
    sum_of = f"{quality.base:.0f} of a good photo, {mean:+.0f} by its places, "
    sum_of += f"{quality.left_over:+.0f} left over"
    return f"{score.score:.0f} points: {sum_of}\nlooks like: {score.looks_like or NOTHING}"


def write_points(points: Tensor, path: Path) -> None:
    """Write points (height, width) as ``.npy`` (float32), or as ``.png`` of 16 bits.

    In a picture 32768 is 0 points and each point is 327.67 levels; beyond ±100 it is clipped.

    Raises
    ------
    UsageError
        for another ending.
    """
    values = points.numpy()
    if path.suffix.lower() == ".npy":
        with replacing(path) as part, part.open("wb") as file:
            np.save(file, values.astype(np.float32))
            file.write(f"\n{MARK}\n".encode())  # np.load reads the array, and not on
        return
    if path.suffix.lower() != ".png":
        raise UsageError(f"{path}: a map is written as .npy or .png (16 bits)")
    levels = (32768 + values * PER_POINT).round().clip(0, 65535).astype(np.uint16)
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
