"""What a resumed run still has to do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from shamisa_cli.errors import UsageError
from shamisa_cli.scoring.resume import earlier_rows, remaining
from shamisa_cli.scoring.rows import Kind, RowFile
from shamisa_cli.scoring.score import Score

A, B, C = (Score(f"{name}.jpg", 50.0, 9, 9, 9, 9, "m@1", "h") for name in "abc")
FAILED = replace(B, score=None, status="failed", error="truncated")


def stored(path: Path, kind: Kind, *rows: Score) -> tuple[Path, Kind]:
    RowFile(path, kind, rows).close()
    return path, kind


def test_scored_rows_stay_and_failed_ones_are_tried_again(tmp_path: Path) -> None:
    file = stored(tmp_path / "r.csv", "csv", A, FAILED, C)
    assert earlier_rows([file], "m@1", "h", ["a.jpg", "b.jpg", "d.jpg"]) == [A, C]
    assert earlier_rows([file], "m@1", "h", ["a.jpg"]) == [A, FAILED, C]


def test_the_fullest_of_several_files_counts_in_any_order(tmp_path: Path) -> None:
    files = [
        stored(tmp_path / "r.csv", "csv", C, A, A, FAILED),
        stored(tmp_path / "r.json", "json", A, FAILED, A, C),
        stored(tmp_path / "some.jsonl", "jsonl", A, C),
        (tmp_path / "new.jsonl", "jsonl"),
    ]
    assert earlier_rows(files, "m@1", "h", []) == [C, A, A, FAILED]


@pytest.mark.parametrize("fewer", [(C,), (A, A), (A, replace(B, score=51.0))])
def test_rows_that_the_fullest_file_has_not_are_not_deleted(
    tmp_path: Path, fewer: tuple[Score, ...]
) -> None:
    files = [
        stored(tmp_path / "some.jsonl", "jsonl", *fewer),
        stored(tmp_path / "full.csv", "csv", A, B, FAILED),
    ]
    before = files[0][0].read_bytes()
    with pytest.raises(
        UsageError, match=r"some\.jsonl: .* that .*full\.csv does not .*another file"
    ):
        earlier_rows(files, "m@1", "h", [])
    assert files[0][0].read_bytes() == before


@pytest.mark.parametrize(("model", "head"), [("m@2", "h"), ("m@1", "other")])
def test_another_model_or_head_is_refused(tmp_path: Path, model: str, head: str) -> None:
    file = stored(tmp_path / "r.csv", "csv", A)
    with pytest.raises(UsageError, match=r"r\.csv: was made with model m@1, head h"):
        earlier_rows([file], model, head, [])


def test_remaining_keeps_the_order_and_counts_repetitions() -> None:
    asked = ["d", "a.jpg", "b.jpg", "a.jpg", "e"]
    assert remaining(asked, [A, C]) == ["d", "b.jpg", "a.jpg", "e"]
    assert remaining(asked, []) == asked
    assert remaining(asked, [A, A, B]) == ["d", "e"]
