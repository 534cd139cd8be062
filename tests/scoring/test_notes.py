"""When a score says that it is less sure."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image

import shamisa
from shamisa_cli.scoring.notes import SMOOTH, STRANGE, mean_gradient, note_of
from shamisa_cli.scoring.score import Score, plain_line, table_line


def test_the_gradient_is_the_mean_difference_of_neighbors() -> None:
    gray = np.random.default_rng(0).integers(0, 256, (5, 7))
    image = Image.fromarray(np.repeat(gray[..., None], 3, 2).astype(np.uint8))
    rows = [abs(int(gray[y, x]) - int(gray[y, x + 1])) for y in range(5) for x in range(6)]
    columns = [abs(int(gray[y, x]) - int(gray[y + 1, x])) for y in range(4) for x in range(7)]
    wanted = sum(rows) / len(rows) + sum(columns) / len(columns)
    assert mean_gradient(image) == pytest.approx(wanted)
    assert mean_gradient(Image.new("RGB", (1, 1))) == 0


def test_each_reason_is_said_and_nothing_else() -> None:
    assert note_of(SMOOTH, STRANGE - 0.01, padded=False) == ""
    assert note_of(None, None, padded=False) == ""
    assert "smooth" in note_of(SMOOTH - 0.1, 1.0, padded=False)
    assert "unlike" in note_of(20.0, STRANGE, padded=False)
    both = note_of(0.0, None, padded=True)
    assert both.startswith("smaller than the model looks at; mostly smooth")


def test_rows_have_their_notes() -> None:
    scorer = shamisa.load("fast", device="cpu", workers=0)
    china = Image.fromarray(load_sample_image("china.jpg"))
    ramp = Image.linear_gradient("L").resize((400, 400)).convert("RGB")
    rows = list(scorer.score_many([china, ramp, china.resize((150, 100))]))
    assert rows[0].note == ""
    assert "mostly smooth" in rows[1].note
    assert "smaller" in rows[2].note
    assert rows[2].to_row()["note"] == rows[2].note


def test_a_table_never_shows_a_silent_number() -> None:
    """Marks, then the note; before them what the photo looks like, if that was asked for."""
    row = Score("a.jpg", 2.78, 900, 600, 768, 512, "m@1", "h", note="mostly smooth")
    assert table_line(row).endswith("  a.jpg  (mostly smooth)")
    small = replace(row, status="padded+clipped", looks_like="lens blur 1.0")
    assert table_line(small).endswith(
        "  a.jpg  looks like lens blur 1.0  (padded, clipped, mostly smooth)"
    )
    assert table_line(replace(row, note="")).endswith("  a.jpg")
    assert plain_line(row) == "2.7800\tok\ta.jpg"
    assert plain_line(row, explained=True) == "2.7800\tok\ta.jpg\t\tmostly smooth"
