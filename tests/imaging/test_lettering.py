"""Text on pictures: signs that the font has, lines that fit."""

from __future__ import annotations

import importlib.util

import pytest
from PIL import ImageFont

from shamisa_cli.imaging import lettering
from shamisa_cli.imaging.lettering import fitted_lines, font


def test_lines_are_broken_between_words_and_long_words_cut() -> None:
    letters = font(13)
    width = letters.getlength("a line of words")
    text = "a line of words that goes on and on\nand a_word_that_is_too_long_for_any_line x"
    lines = fitted_lines(text, width, letters)
    assert all(letters.getlength(line) <= width for line in lines)
    assert lines[0] == "a line of words"
    (cut,) = [line for line in lines if line.endswith("...")]
    assert "a_word_that_is_too_long_for_any_line".startswith(cut[:-3])
    kept = [line for line in lines if line != cut]
    assert " ".join(kept) == "a line of words that goes on and on and x"


@pytest.mark.skipif(importlib.util.find_spec("matplotlib") is None, reason="no font of matplotlib")
def test_greek_is_written_where_a_font_has_it() -> None:
    assert fitted_lines("σ 2.1 px − λ", 500, font(13)) == ["σ 2.1 px − λ"]


def test_greek_is_spelt_where_only_pillow_has_a_font(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lettering, "_NAMES", ())
    monkeypatch.setattr(lettering, "_of_matplotlib", list)
    letters = font.__wrapped__(13)
    assert letters.getname() == ImageFont.load_default(13).getname()
    assert fitted_lines("σ 2.1 px", 500, letters) == ["sigma 2.1 px"]
    assert fitted_lines("é × −0.1 → Å", 500, letters) == ["e x -0.1 > A"]
