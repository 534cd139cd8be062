"""Contact sheets: rows of pictures, each pixel for pixel, with a title and captions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from shamisa_cli.imaging.closeup import Box, marked
from shamisa_cli.imaging.lettering import Font, fitted_lines, font

WIDEST = 2000
"""px; more pictures go on the next line."""

_GAP, _NEAR = 11, 5
"""px between pictures, and between what belongs together."""
_NARROWEST = 160
"""px for a caption, however small the pictures."""
_TITLE, _TITLE_LINE = 17, 24
_TEXT, _TEXT_LINE = 13, 17
_LARGE = 30
_INK = (24, 24, 24)
_PAPER = (255, 255, 255)


@dataclass(frozen=True)
class Row:
    """Pictures that belong together.

    Attributes
    ----------
    title : above them.
    pictures : 8-bit RGB, shown pixel for pixel.
    captions : a text for each, below it; may have several lines.
    """

    title: str
    pictures: Sequence[Image.Image]
    captions: Sequence[str]


def contact_sheet(rows: Sequence[Row], columns: int | None = None) -> Image.Image:
    """Lay ``rows`` out below each other; 8-bit RGB, at most :data:`WIDEST` wide.

    Parameters
    ----------
    columns : at most so many pictures beside each other; as many as fit, if that is less.
    """
    cell = max((_NARROWEST, *(picture.width for row in rows for picture in row.pictures)))
    fitting = max(1, (WIDEST - _GAP) // (cell + _GAP))
    longest = max((len(row.pictures) for row in rows), default=0)
    columns = min(longest, fitting, columns or fitting)
    width = _GAP + columns * (cell + _GAP)
    bands = [band for row in rows for band in _bands(row, columns, cell, width)]
    sheet = Image.new("RGB", (width, _GAP + sum(band.height for band in bands)), _PAPER)
    top = _GAP
    for band in bands:
        sheet.paste(band, (0, top))
        top += band.height
    return sheet


def look(photo: Image.Image, box: Box, headline: str, text: str, width: int) -> Image.Image:
    """The whole photo small, beside it the part ``box`` at 1:1; ``width`` px in all.

    Below the small photo stand a word in large letters, and more in small ones.
    """
    crop = photo.crop(box)
    side = width - crop.width - _NEAR
    small = marked(photo, box, (side, crop.height // 2))
    letters, large = font(_TEXT), font(_LARGE)
    lines = fitted_lines(text, side, letters)
    words = small.height + 2 * _GAP + _LARGE + len(lines) * _TEXT_LINE
    picture = Image.new("RGB", (width, max(crop.height, words)), _PAPER)
    picture.paste(small, (0, 0))
    picture.paste(crop, (side + _NEAR, 0))
    draw = ImageDraw.Draw(picture)
    top = small.height + _GAP
    draw.text((0, top), headline, _INK, large)
    _write(draw, (0, top + _LARGE + _GAP), lines, letters, _TEXT_LINE)
    return picture


def _bands(row: Row, columns: int, cell: int, width: int) -> Iterable[Image.Image]:
    """The title of a row, and its lines of pictures."""
    if row.title:
        letters = font(_TITLE)
        lines = fitted_lines(row.title, width - 2 * _GAP, letters)
        band = Image.new("RGB", (width, len(lines) * _TITLE_LINE), _PAPER)
        _write(ImageDraw.Draw(band), (_GAP, 0), lines, letters, _TITLE_LINE)
        yield band
    for start in range(0, len(row.pictures), columns):
        part = slice(start, start + columns)
        yield _line(row.pictures[part], row.captions[part], cell, width)


def _line(
    pictures: Sequence[Image.Image], captions: Sequence[str], cell: int, width: int
) -> Image.Image:
    letters = font(_TEXT)
    texts = [fitted_lines(text, cell, letters) if text else [] for text in captions]
    heights = (p.height + len(t) * _TEXT_LINE for p, t in zip(pictures, texts, strict=True))
    band = Image.new("RGB", (width, max(heights) + _NEAR + _GAP), _PAPER)
    draw = ImageDraw.Draw(band)
    for k, (picture, text) in enumerate(zip(pictures, texts, strict=True)):
        left = _GAP + k * (cell + _GAP)
        band.paste(picture, (left, 0))
        _write(draw, (left, picture.height + _NEAR), text, letters, _TEXT_LINE)
    return band


def _write(
    draw: ImageDraw.ImageDraw, at: tuple[int, int], lines: Sequence[str], letters: Font, step: int
) -> None:
    for k, line in enumerate(lines):
        draw.text((at[0], at[1] + k * step), line, _INK, letters)
