"""Which rows are shown."""

from __future__ import annotations

import pytest

from shamisa_cli.errors import UsageError
from shamisa_cli.scoring.limits import Limits, shown_rows
from shamisa_cli.scoring.score import Score


def row(path: str, score: float | None) -> Score:
    status = "failed" if score is None else "ok"
    return Score(path, score, 1, 1, 1, 1, "m", "h", status)


ROWS = [row("b", 40.0), row("d", None), row("c", 90.0), row("a", 90.0), row("e", 10.0)]


@pytest.mark.parametrize(
    ("limits", "shown"),
    [
        (Limits(), "bdcae"),
        (Limits(top=1), "a"),
        (Limits(top=9), "acbe"),
        (Limits(below=90), "be"),
        (Limits(above=10), "bca"),
        (Limits(above=10, below=90), "b"),
        (Limits(top=1, below=90), "b"),
        (Limits(above=90), ""),
    ],
)
def test_rows_within_limits(limits: Limits, shown: str) -> None:
    assert "".join(each.path for each in shown_rows(iter(ROWS), limits)) == shown
    assert bool(limits) == (limits != Limits())


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"top": 0}, "top must be at least 1"),
        ({"below": 101}, "below must be a score from 0 to 100, got 101"),
        ({"above": -1}, "above must be a score"),
        ({"above": float("nan")}, "above must be a score"),
        ({"above": 50, "below": 50}, "no score is above 50 and below 50"),
    ],
)
def test_limits_that_make_no_sense(wrong: dict[str, float], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        Limits(**wrong)  # type: ignore[arg-type]
