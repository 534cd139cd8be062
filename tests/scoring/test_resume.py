"""Going on with an earlier run: rows that stay, photos that were replaced, two runs at once."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from shamisa_cli.errors import ShamisaError, UsageError
from shamisa_cli.scoring.records import record_path
from shamisa_cli.scoring.resume import earlier_run, remaining
from shamisa_cli.scoring.rows import Kind, RowFile, RowFiles, read_rows
from shamisa_cli.scoring.score import Score

A, B, C = (Score(f"{name}.jpg", 50.0, 9, 9, 9, 9, "m@1", "h") for name in "abc")
FAILED = replace(B, score=None, status="failed", error="truncated")


def stored(path: Path, kind: Kind, *rows: Score) -> tuple[Path, Kind]:
    RowFile(path, kind, rows).close()
    return path, kind


def test_scored_rows_stay_and_failed_ones_are_tried_again(tmp_path: Path) -> None:
    file = stored(tmp_path / "r.csv", "csv", A, FAILED, C)
    assert earlier_run([file], "m@1", "h", ["a.jpg", "b.jpg", "d.jpg"]).rows == [A, C]
    assert earlier_run([file], "m@1", "h", ["a.jpg"]).rows == [A, FAILED, C]


def test_the_fullest_of_several_files_counts_in_any_order(tmp_path: Path) -> None:
    files = [
        stored(tmp_path / "r.csv", "csv", C, A, A, FAILED),
        stored(tmp_path / "r.json", "json", A, FAILED, A, C),
        stored(tmp_path / "some.jsonl", "jsonl", A, C),
        (tmp_path / "new.jsonl", "jsonl"),
    ]
    assert earlier_run(files, "m@1", "h", []).rows == [C, A, A, FAILED]


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
        earlier_run(files, "m@1", "h", [])
    assert files[0][0].read_bytes() == before


@pytest.mark.parametrize(("model", "head"), [("m@2", "h"), ("m@1", "other")])
def test_another_model_or_head_is_refused(tmp_path: Path, model: str, head: str) -> None:
    file = stored(tmp_path / "r.csv", "csv", A)
    with pytest.raises(UsageError, match=r"r\.csv: was made with model m@1, head h"):
        earlier_run([file], model, head, [])


def test_remaining_keeps_the_order_and_counts_repetitions() -> None:
    asked = ["d", "a.jpg", "b.jpg", "a.jpg", "e"]
    assert remaining(asked, [A, C]) == ["d", "b.jpg", "a.jpg", "e"]
    assert remaining(asked, []) == asked
    assert remaining(asked, [A, A, B]) == ["d", "e"]


def test_one_photo_by_several_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    here = str(tmp_path / "a.jpg")
    for name in ("./a.jpg", ".//a.jpg", here):
        assert remaining([name, "b.jpg"], [A]) == ["b.jpg"]
        assert remaining(["a.jpg", name], [A]) == [name]
        assert remaining(["a.jpg", "b.jpg"], [replace(A, path=name)]) == ["b.jpg"]
    assert remaining(["x/../a.jpg", "x/a.jpg"], [A]) == ["x/../a.jpg", "x/a.jpg"]  # x may be a link


def test_a_photo_that_changes_while_it_is_scored_is_scored_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    names = ["a.jpg", "b.jpg"]
    for name in names:
        Path(name).write_bytes(b"as it was")
    files: list[tuple[Path, Kind]] = [(Path("r.csv"), "csv"), (Path("r.json"), "json")]
    sink = RowFiles(files)
    for name, row in zip(sink.watch(names), (A, B), strict=True):
        Path("a.jpg").write_bytes(b"another photo")
        assert name == row.path
        sink.write(row)
    sink.close(finished=True)
    found = earlier_run(files, "m@1", "h", names)
    assert (found.changed, found.rows, list(found.records)) == (["a.jpg"], [B], ["b.jpg"])
    assert earlier_run(files, "m@1", "h", ["b.jpg"]).rows == [A, B]  # nobody asks for a.jpg


def test_a_record_that_is_torn_costs_one_photo(tmp_path: Path) -> None:
    names = [str(tmp_path / name) for name in ("a.jpg", "x\udcff.jpg")]
    rows = [replace(A, path=name) for name in names]
    for name in names:
        Path(name).write_bytes(b"a photo")
    files: list[tuple[Path, Kind]] = [(tmp_path / "r.jsonl", "jsonl")]
    sink = RowFiles(files)
    for _, row in zip(sink.watch(names), rows, strict=True):
        sink.write(row)
    sink.close(finished=True)
    assert earlier_run(files, "m@1", "h", names).changed == []
    records = record_path(files[0][0])
    records.write_bytes(records.read_bytes()[:-9])
    assert earlier_run(files, "m@1", "h", names).changed == names[1:]


def test_a_full_disk_leaves_whole_rows_beside_whatever_records(
    tmp_path: Path, no_file_over: Callable[[int], AbstractContextManager[None]]
) -> None:
    photo = tmp_path / "a.jpg"
    photo.write_bytes(b"a photo")
    row = replace(A, path=str(photo))
    files: list[tuple[Path, Kind]] = [(tmp_path / "r.csv", "csv"), (tmp_path / "r.json", "json")]
    for room in range(120, 1200, 90):
        sink = RowFiles(files)
        written = 0
        with no_file_over(room), suppress(ShamisaError):
            for _ in sink.watch([str(photo)] * 20):
                sink.write(row)
                written += 1
        assert written < 20
        for path, kind in files:
            assert len(read_rows(path, kind)) in (written, written + 1)
