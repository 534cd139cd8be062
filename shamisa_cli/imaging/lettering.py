"""Text on pictures: a font that has the signs we write, and lines that fit a width."""

from __future__ import annotations

import importlib.util
import unicodedata
from functools import lru_cache
from pathlib import Path

from PIL import ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

_NAMES = ("DejaVuSans.ttf", "NotoSans-Regular.ttf", "Arial.ttf", "arial.ttf")
"""Fonts of systems with Greek letters and accents; Pillow's own has neither."""
_SPELT = {"σ": "sigma", "λ": "severity", "×": "x", "−": "-", "→": ">"}
"""What is written where only Pillow's own font is there."""


@lru_cache
def font(size: int) -> Font:
    """A font whose capitals and descenders take ``size`` px: matplotlib's, the system's, Pillow's.

    Pillow's own lacks accents and Greek letters; :func:`fitted_lines` spells what it can.
    """
    for name in (*_of_matplotlib(), *_NAMES):
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return ImageFont.load_default(size)


def fitted_lines(text: str, width: float, letters: Font) -> list[str]:
    """``text`` in lines of at most ``width`` px, broken between words.

    Lines of the text stay lines; a word that is too long ends in three dots.
    """
    written = text if _has_greek(letters) else _spelt(text)
    lines: list[str] = []
    for paragraph in written.split("\n"):
        line = ""
        for word in paragraph.split(" "):
            longer = f"{line} {word}" if line else word
            if line and letters.getlength(longer) > width:
                lines.append(line)
                longer = word
            line = _cut(longer, width, letters)
        lines.append(line)
    return lines


def _spelt(text: str) -> str:
    """``text`` without accents, and with words for Greek letters."""
    signs = unicodedata.normalize("NFKD", "".join(_SPELT.get(sign, sign) for sign in text))
    return "".join(sign for sign in signs if not unicodedata.combining(sign))


def _cut(text: str, width: float, letters: Font) -> str:
    if letters.getlength(text) <= width:
        return text
    while text and letters.getlength(text + "...") > width:
        text = text[:-1]
    return text + "..."


def _of_matplotlib() -> list[str]:
    """The path of its DejaVu Sans, where it is installed; matplotlib itself is not imported."""
    found = importlib.util.find_spec("matplotlib")
    if found is None or found.origin is None:
        return []
    return [str(Path(found.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf")]


def _has_greek(letters: Font) -> bool:
    """Whether sigma looks other than a sign that no font has."""
    return bytes(letters.getmask("σ")) != bytes(letters.getmask("\uffff"))
