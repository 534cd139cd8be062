"""Contact sheets: pictures in rows, each with a caption."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont, ImageOps

_MARGIN = 6
_TEXT_SIZE = 12
_LINE = 16
_TITLE_WIDTH = 190
_INK = (32, 32, 32)
_PAPER = (255, 255, 255)


def contact_sheet(
    rows: Sequence[Sequence[Image.Image]],
    captions: Sequence[Sequence[str]],
    *,
    row_titles: Sequence[str] | None = None,
    cell: int = 160,
) -> Image.Image:
    """Lay pictures out in rows, each fitted into a square and with its caption below.

    Parameters
    ----------
    rows : the pictures of each row; rows may differ in length.
    captions : one text per picture, in the same shape; "" for none.
    row_titles : one text per row, written to its left.
    cell : side in px of the square that a picture is fitted into (never cropped).

    Returns
    -------
    8-bit RGB image.
    """
    left = _MARGIN + (_TITLE_WIDTH if row_titles is not None else 0)
    step_x, step_y = cell + _MARGIN, cell + _LINE + _MARGIN
    columns = max((len(row) for row in rows), default=0)
    sheet = Image.new("RGB", (left + columns * step_x, _MARGIN + len(rows) * step_y), _PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(_TEXT_SIZE)
    for i, (row, texts) in enumerate(zip(rows, captions, strict=True)):
        top = _MARGIN + i * step_y
        if row_titles is not None:
            draw.text((_MARGIN, top + cell // 2), row_titles[i], _INK, font, anchor="lm")
        for j, (picture, text) in enumerate(zip(row, texts, strict=True)):
            x = left + j * step_x
            sheet.paste(_fitted(picture, cell), (x, top))
            draw.text((x + cell // 2, top + cell + _LINE // 2), text, _INK, font, anchor="mm")
    return sheet


def _fitted(picture: Image.Image, cell: int) -> Image.Image:
    """``picture`` inside a ``cell``-px square; small ones are enlarged without smoothing."""
    smaller = max(picture.size) < cell
    method = Image.Resampling.NEAREST if smaller else Image.Resampling.LANCZOS
    return ImageOps.pad(picture.convert("RGB"), (cell, cell), method, color=_PAPER)
