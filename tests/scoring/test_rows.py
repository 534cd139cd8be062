"""Files of rows: whole after every row, readable again, resumed, and nobody else's is touched."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shamisa_cli.errors import ShamisaError, UsageError
from shamisa_cli.scoring.rows import Kind, RowFile, read_rows
from shamisa_cli.scoring.score import COLUMNS, Score

KINDS: tuple[Kind, ...] = ("csv", "json", "jsonl")
ODD_PATHS = ["a.jpg", 'quo"te, comma.jpg', "new\nline.jpg", "return\rhere.jpg", "ünï 日本.png"]
ODD_PATHS += ["x\udcff.jpg"]


@pytest.fixture(scope="module", autouse=True)
def no_waiting_for_the_disk() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


def good(path: str, score: float = 50.0) -> Score:
    return Score(path, score, 640, 480, 320, 240, "m@1", "h", "padded")


def bad(path: str) -> Score:
    return Score(path, None, None, None, None, None, "m@1", "h", "failed", 'no, "such"\nfile')


ROWS = [row for path in ODD_PATHS for row in (good(path, 12.3456), bad(path))]


def written(path: Path, kind: Kind, rows: list[Score]) -> Path:
    file = RowFile(path, kind)
    for row in rows:
        file.write(row)
    file.close()
    return path


def test_other_programs_can_read_them(tmp_path: Path) -> None:
    rows = ROWS[:-2]
    with written(tmp_path / "r.csv", "csv", rows).open(newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert [row["path"] for row in table] == [row.path for row in rows]
    assert tuple(table[0]) == COLUMNS
    assert table[0]["score"] == "12.3456"
    assert table[1]["score"] == ""
    array = json.loads(written(tmp_path / "r.json", "json", rows).read_text())
    lines = written(tmp_path / "r.jsonl", "jsonl", rows).read_text().splitlines()
    assert array == [json.loads(line) for line in lines] == [row.to_row() for row in rows]
    assert list(array[0]) == list(COLUMNS)
    assert array[1]["score"] is None


@pytest.mark.parametrize("kind", KINDS)
def test_a_name_that_is_not_utf8_is_text_for_others_and_the_same_for_us(
    tmp_path: Path, kind: Kind
) -> None:
    rows = [good("caf\udce9.jpg"), good(r"caf\xe9.jpg"), good(r"a\b.jpg"), good("half\ud83d.jpg")]
    rows.append(replace(bad("x"), error="\udcff"))
    path = written(tmp_path / "rows", kind, rows)
    assert read_rows(path, kind) == rows
    text = path.read_text(encoding="utf-8")
    if kind == "csv":
        found = [row["path"] for row in csv.DictReader(text.splitlines())]
    else:
        found = [
            row["path"]
            for row in json.loads(text if kind == "json" else f"[{','.join(text.splitlines())}]")
        ]
    assert found == [r"caf\xe9.jpg", r"caf\x5cxe9.jpg", r"a\b.jpg", r"half\ud83d.jpg", "x"]


def test_rows_of_earlier_versions_are_known(tmp_path: Path) -> None:
    """They had the bytes of odd names as they are in CSV, and half a surrogate pair in JSON."""
    rows = [good("caf\udce9.jpg")]
    for kind in ("csv", "jsonl"):
        path = written(tmp_path / kind, kind, rows)
        old = b"\xe9" if kind == "csv" else b"\\udce9"
        new = b"\\xe9" if kind == "csv" else b"\\\\xe9"
        assert new in path.read_bytes()
        path.write_bytes(path.read_bytes().replace(new, old))
        assert read_rows(path, kind) == rows


@pytest.mark.parametrize("kind", KINDS)
def test_the_file_is_whole_after_every_row(tmp_path: Path, kind: Kind) -> None:
    path = tmp_path / "rows"
    assert read_rows(path, kind) == []
    file = RowFile(path, kind)
    assert read_rows(path, kind) == []
    for n, row in enumerate(ROWS, 1):
        file.write(row)
        if kind == "json":
            assert len(json.loads(path.read_text())) == n
        assert read_rows(path, kind) == ROWS[:n]


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_of_a_torn_file_the_whole_rows_are_read(tmp_path: Path, kind: Kind) -> None:
    rows = ROWS[2:6]  # with quotes, commas and line breaks
    content = written(tmp_path / "rows", kind, rows).read_bytes()
    torn = tmp_path / "torn"
    lengths = []
    for length in range(len(content) + 1):
        torn.write_bytes(content[:length])
        found = read_rows(torn, kind)
        assert found == rows[: len(found)]
        lengths.append(len(found))
    assert lengths == sorted(lengths)
    assert set(lengths) == set(range(len(rows) + 1))


@pytest.mark.parametrize("kind", KINDS)
def test_resuming_and_closing_with_other_rows(tmp_path: Path, kind: Kind) -> None:
    path = tmp_path / "rows"
    file = RowFile(path, kind, ROWS[:3])
    assert read_rows(path, kind) == ROWS[:3]
    for row in ROWS[3:]:
        file.write(row)
    assert read_rows(path, kind) == ROWS
    file.close(ROWS[::-1])
    assert read_rows(path, kind) == ROWS[::-1]
    assert [p.name for p in tmp_path.iterdir()] == ["rows"]  # nothing is left lying about


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "content",
    [b"name,size\n1,2\n", b'{"a": 1}\n', b"{}\n", b"\xff\xd8\xff\xe0 photo\n", b"[1, 2]\n"],
)
def test_a_file_of_something_else_is_refused_and_kept(
    tmp_path: Path, kind: Kind, content: bytes
) -> None:
    path = tmp_path / "precious"
    path.write_bytes(content)
    with pytest.raises(
        UsageError, match=r"precious: exists, and is no .* file of this shamisa score"
    ):
        read_rows(path, kind)
    assert path.read_bytes() == content


@pytest.mark.parametrize("kind", KINDS)
def test_fields_that_somebody_added_are_not_lost(tmp_path: Path, kind: Kind) -> None:
    path = written(tmp_path / "mine", kind, ROWS[:2])
    if kind == "csv":
        header, *lines = path.read_text().splitlines(keepends=True)
        path.write_text(header.replace("\n", ",remark\n") + "".join(lines).replace("\n", ",x\n"))
    else:
        path.write_text(path.read_text().replace("}", ', "remark": "x"}'))
    says = r"mine: has a field .*'remark'.* write to another file, or remove that file"
    with pytest.raises(UsageError, match=says):
        read_rows(path, kind)


@pytest.mark.parametrize("path", ["/dev/null", "/"])
def test_devices_and_folders_are_refused(path: str) -> None:
    with pytest.raises(UsageError, match="is no ordinary file"):
        read_rows(Path(path), "csv")


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(ShamisaError, match=r"none/rows\.csv: cannot be written"):
        RowFile(tmp_path / "none" / "rows.csv", "csv")


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_disk_is_told_and_the_rows_stay(
    tmp_path: Path, kind: Kind, no_file_over: Callable[[int], AbstractContextManager[None]]
) -> None:
    path = tmp_path / "rows"
    file = RowFile(path, kind, ROWS)
    says = "rows: cannot be written any more: .* rows are kept"
    for room in (0, 20):  # no byte of the next row, or a few
        with no_file_over(path.stat().st_size + room), pytest.raises(ShamisaError, match=says):
            file.write(ROWS[0])
        assert read_rows(path, kind) == ROWS
    file.write(ROWS[0])  # room again: the file goes on
    assert read_rows(path, kind) == [*ROWS, ROWS[0]]
    file.close(ROWS)
    with no_file_over(100), pytest.raises(ShamisaError, match=says):
        file.close(ROWS[::-1])
    assert read_rows(path, kind) == ROWS
    assert [path.name for path in tmp_path.iterdir()] == ["rows"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_part_of_a_row_never_stays(
    tmp_path: Path, kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the system writes a part of it, says so by an error, and has room for no more."""
    path = tmp_path / "rows"
    file = RowFile(path, kind, ROWS[:3])
    size = path.stat().st_size

    class Full(io.FileIO):
        def write(self, content: bytes) -> int:
            room = size + 20 - self.tell()
            super().write(content[:room])
            if len(content) > room:
                raise OSError(errno.EDQUOT, "Disk quota exceeded")
            return len(content)

    monkeypatch.setattr(file._file, "_file", Full(path, "r+"))
    with pytest.raises(ShamisaError, match=r"Disk quota exceeded\. Finished rows are kept"):
        file.write(ROWS[3])
    assert read_rows(path, kind) == ROWS[:3]
    assert path.stat().st_size == size


paths = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


@settings(max_examples=20, deadline=None)
@given(rows=st.lists(st.tuples(paths, st.floats(0, 100), st.text(max_size=10)), max_size=5))
@pytest.mark.parametrize("kind", KINDS)
def test_any_text_comes_back(
    tmp_path_factory: pytest.TempPathFactory, kind: Kind, rows: list[tuple[str, float, str]]
) -> None:
    scores = [
        Score(path, round(value, 4), 1, 2, 1, 2, "m", "h", "ok", error)
        for path, value, error in rows
    ]
    path = written(tmp_path_factory.mktemp("any") / "rows", kind, scores)
    assert read_rows(path, kind) == scores
