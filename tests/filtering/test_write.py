"""Rows in, files out: what other programs read from them, and memory."""

from __future__ import annotations

import csv
import json
import random
import tracemalloc
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from filter_runs import uid_of, write_parquet

from shamisa_cli.errors import ShamisaError, UsageError
from shamisa_cli.files import is_ours
from shamisa_cli.filtering.choice import choose
from shamisa_cli.filtering.criteria import Criteria, read_between, read_top
from shamisa_cli.filtering.rows import open_rows
from shamisa_cli.filtering.write import Targets, write_rows
from shamisa_cli.spelling import escape_name

HOSTILE = ["a,b", 'quo"te', "café ☕", "../up", "-rf", "tab\there", "'; drop", "\u202e", " end "]


def rows_of(count: int, **more: Any) -> list[dict[str, Any]]:
    """Rows with scores that differ, and hostile keys; every tenth failed."""
    made = []
    for n in range(count):
        failed, key = n % 10 == 9, f"{HOSTILE[n % len(HOSTILE)]}{n}"
        made.append(
            {"key": key, "uid": uid_of(key), "path": f"a.tar/{key}.jpg", "model": "m@1"}
            | {"score": None if failed else n * 37 % 1000 / 10, "width": n, "phash": 2**64 - 1 - n}
            | {"status": "failed" if failed else "ok", "error": 'a\r\n"b"' if failed else ""}
            | more
        )
    return made


def best(rows: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """The best so many, in the order of the rows."""
    scored = sorted((each for each in rows if each["score"] is not None), key=lambda r: -r["score"])
    kept = {each["key"] for each in scored[:count]}
    return [each for each in rows if each["key"] in kept]


def test_every_file_has_the_rows_that_stay(tmp_path: Path) -> None:
    rows = rows_of(200, caption="x,\ny")
    for n in range(4):
        part = tmp_path / f"part-{n}.parquet"
        write_parquet(part, rows[50 * n : 50 * n + 50], caption=pa.string())
    (tmp_path / ".part-9.parquet.host.1.tmp").write_bytes(b"of a run that was killed")
    out = tmp_path / "out"
    out.mkdir()
    targets = Targets(out / "a.parquet", out / "a.csv", out / "a.txt", out / "a.npy")
    choice = choose(open_rows([str(tmp_path)]), Criteria(top=read_top("25%")))
    stayed, told = write_rows(choice, targets)
    wanted = best(rows, 45)
    assert (stayed, choice.total, choice.failed) == (45, 200, 20)
    files = zip(targets.paths, ("rows", "rows", "keys", "uids"), strict=True)
    assert told == [f"{path}: 45 {what}" for path, what in files]
    names = ("key", "uid", "score", "width", "phash", "caption")
    table = pq.read_table(out / "a.parquet")
    assert table.schema.equals(pq.read_schema(tmp_path / "part-0.parquet"))
    assert table.select(names).to_pylist() == [{k: r[k] for k in names} for r in wanted]
    lines = list(csv.DictReader((out / "a.csv").open(newline="", encoding="utf-8")))
    assert [line["key"] for line in lines] == [row["key"] for row in wanted]
    assert [float(line["score"]) for line in lines] == [row["score"] for row in wanted]
    assert {line["caption"] for line in lines} == {"x,\ny"}
    keys = (out / "a.txt").read_bytes().decode().split("\n")
    assert keys == [*(row["key"] for row in wanted), ""]
    assert len(np.load(out / "a.npy")) == 45
    assert is_ours(out / "a.parquet")
    assert is_ours(out / "a.csv")
    assert sorted(path.name for path in out.iterdir()) == ["a.csv", "a.npy", "a.parquet", "a.txt"]


def test_duckdb_opens_the_parquet_with_the_types_that_are_documented(tmp_path: Path) -> None:
    source = write_parquet(tmp_path / "in.parquet", rows_of(20))
    out = tmp_path / "out.parquet"
    write_rows(choose(open_rows([str(source)]), Criteria(minimum=50)), Targets(out))
    found = duckdb.sql(f"select key, uid, score, width, phash, status from '{out}'")
    assert [str(kind) for kind in found.types] == [
        *("VARCHAR", "VARCHAR", "DOUBLE", "INTEGER", "UBIGINT", "VARCHAR")
    ]
    wanted = [r for r in rows_of(20) if r["score"] is not None and r["score"] >= 50]
    assert sorted(found.fetchall()) == sorted(
        (r["key"], r["uid"], r["score"], r["width"], r["phash"], "ok") for r in wanted
    )


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_rows_of_a_plain_run(kind: str, tmp_path: Path) -> None:
    """What ``score --csv`` and ``--jsonl`` write, with a column that somebody added."""
    rows = [{k: r[k] for k in ("path", "score", "width", "status", "error")} for r in rows_of(30)]
    rows = [{**row, "added": n} for n, row in enumerate(rows)]
    path = tmp_path / f"rows.{kind}"
    with path.open("w", newline="", encoding="utf-8") as file:
        if kind == "csv":
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        else:
            file.writelines(json.dumps(row) + "\n" for row in rows)
    out = tmp_path / "out.csv"
    criteria = Criteria(top=read_top("5"), quantiles=(read_between("added:0.5-1"),))
    choice = choose(open_rows([str(path)]), criteria)
    write_rows(choice, Targets(csv=out, keys=tmp_path / "keys.txt"))
    half = [row for row in rows if row["added"] >= 14 and row["score"] is not None]
    wanted = sorted(half, key=lambda row: -row["score"])[:5]
    assert choice.bounds[0][0] == 14  # the 14th of 27 that are scored
    found = [line["path"] for line in csv.DictReader(out.open(newline="", encoding="utf-8"))]
    assert sorted(found) == sorted(row["path"] for row in wanted)
    assert (tmp_path / "keys.txt").read_text(encoding="utf-8").split("\n")[:-1] == found


def test_the_order_of_parts_does_not_matter(tmp_path: Path) -> None:
    rows = [{**row, "score": 50.0} for row in rows_of(60)]
    random.Random(1).shuffle(rows)
    for n in range(3):
        write_parquet(tmp_path / f"{n}.parquet", rows[20 * n : 20 * n + 20])
    found = []
    for order in ((0, 1, 2), (2, 0, 1)):
        files = [str(tmp_path / f"{n}.parquet") for n in order]
        out = tmp_path / f"{order[0]}.npy"
        write_rows(choose(open_rows(files), Criteria(top=read_top("7"))), Targets(npy=out))
        found.append(out.read_bytes())
    assert found[0] == found[1]


def test_keys_that_a_list_cannot_tell_apart(tmp_path: Path) -> None:
    rows = rows_of(20)
    rows[3]["key"] = rows[0]["key"]  # of 0.0 and 11.1 points
    source, out = write_parquet(tmp_path / "in.parquet", rows), tmp_path / "keys.txt"
    for minimum in (0.0, 5.0):  # both stay, one of them stays
        choice = choose(open_rows([str(source)]), Criteria(minimum=minimum))
        with pytest.raises(UsageError, match="rows that stay share their key with others, 1 time"):
            write_rows(choice, Targets(keys=out))
    write_rows(choose(open_rows([str(source)]), Criteria(minimum=12.0)), Targets(keys=out))
    assert len(out.read_text(encoding="utf-8").split("\n")) == 15  # 14 keys, and neither of the two


def test_a_list_of_paths_has_the_names_as_they_are(tmp_path: Path) -> None:
    """Rows escape what is not UTF-8; a list is for programs that open the files."""
    names = [b"a\xe9.jpg", b"b\\xe9.jpg", "\u00e9.jpg".encode()]
    rows = [f"{escape_name(name.decode(errors='surrogateescape'))},1,ok" for name in names]
    rows.append(r"\ud83d.jpg,1,ok")  # no name of this system
    (tmp_path / "rows.csv").write_text("\n".join(["path,score,status", *rows, ""]))
    choice = choose(open_rows([str(tmp_path / "rows.csv")]), Criteria())
    write_rows(choice, Targets(keys=tmp_path / "keys.txt"))
    assert (tmp_path / "keys.txt").read_bytes().split(b"\n")[:3] == names


def test_a_key_with_a_line_break_is_no_line(tmp_path: Path) -> None:
    rows = rows_of(2)
    rows[1]["key"] = "a\nb"
    source = write_parquet(tmp_path / "in.parquet", rows)
    choice = choose(open_rows([str(source)]), Criteria())
    with pytest.raises(UsageError, match=r"'a\\nb' cannot be a line"):
        write_rows(choice, Targets(keys=tmp_path / "keys.txt"))
    assert not (tmp_path / "keys.txt").exists()


def test_a_uid_of_two_rows_is_written_once_and_told(tmp_path: Path) -> None:
    rows = rows_of(5)
    rows[1]["uid"] = rows[0]["uid"]
    source = write_parquet(tmp_path / "in.parquet", rows)
    choice = choose(open_rows([str(source)]), Criteria())
    _, told = write_rows(choice, Targets(npy=tmp_path / "s.npy"))
    assert told == [f"{tmp_path / 's.npy'}: 4 uids; 1 rows had one of another row"]


def test_embeddings_stay_in_parquet_and_are_left_out_of_csv(tmp_path: Path) -> None:
    kind, rows = pa.list_(pa.float32(), 3), rows_of(3, features=[1.0, 2, 3], raw=b"\xff")
    source = write_parquet(tmp_path / "a.parquet", rows, features=kind, raw=pa.binary())
    targets = Targets(tmp_path / "o.parquet", tmp_path / "o.csv")
    _, told = write_rows(choose(open_rows([str(source)]), Criteria()), targets)
    assert told[1].endswith("3 rows, without features, raw")
    assert pq.read_table(targets.parquet).schema.field("features").type == kind


def test_rows_far_away(tmp_path: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    source = write_parquet(tmp_path / "a.parquet", rows_of(40))
    memory = fsspec.filesystem("memory")
    memory.pipe_file("/far/part-1.parquet", source.read_bytes())
    try:
        choice = choose(open_rows(["memory://far"]), Criteria(top=read_top("3")))
        assert write_rows(choice, Targets(npy=tmp_path / "s.npy"))[0] == 3
    finally:
        memory.rm("/far", recursive=True)


def test_files_that_are_not_rows(tmp_path: Path) -> None:
    good = write_parquet(tmp_path / "good.parquet", rows_of(3))
    (tmp_path / "torn.parquet").write_bytes(good.read_bytes()[:-20])
    (tmp_path / "other.csv").write_text("image,mos\na.jpg,3\n")
    (tmp_path / "bad.csv").write_text("path,score,status\na.jpg,high,ok\n")
    (tmp_path / "torn.csv").write_text("path,score,status\na.jpg,1,ok\nb.jpg,2")
    (tmp_path / "rows.json").write_text("[]")
    more = write_parquet(tmp_path / "more.parquet", rows_of(3), extra=pa.int8())
    empty = tmp_path / "empty"
    empty.mkdir()
    for names, says in (
        (["nosuch.csv"], "nosuch.csv: there is no such file or folder"),
        (["torn.parquet"], r"torn\.parquet: cannot be read .*; copy it again"),
        (["torn.csv"], r"torn\.csv: cannot be read .*Expected 3.*; .*--resume"),
        (["other.csv"], "has no column 'score'"),
        (["rows.json"], "its ending is none of"),
        (["good.parquet", "good.parquet"], "is given twice"),
        (["good.parquet", more.name], "has other columns than .*: extra"),
        (["empty"], "holds no part yet"),
    ):
        with pytest.raises(ShamisaError, match=says):
            open_rows([str(tmp_path / name) for name in names])
    with pytest.raises(ShamisaError, match=r"bad\.csv.*'high'"):
        choose(open_rows([str(tmp_path / "bad.csv")]), Criteria())


class Generated:
    """As many rows as are asked for; none is kept anywhere."""

    schema = pa.schema({"score": pa.float64(), "status": pa.string()})

    def __init__(self, count: int) -> None:
        self.count = count

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        size = 1 << 15
        status = pa.array(["ok"]).take(pa.array([0] * size))
        for n in range(0, self.count, size):
            scores = pa.array(np.random.default_rng(n).random(size) * 100)
            yield pa.RecordBatch.from_arrays([scores, status], schema=self.schema)


def test_memory_does_not_grow_with_rows() -> None:
    """The scores alone would take 24 MB."""
    count = 3 << 20
    tracemalloc.start()
    try:
        choice = choose(Generated(count), Criteria(top=read_top("10%")))
        stayed = sum(int(mask.sum()) for _, mask in choice.masks())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert stayed == -(-count // 10)
    assert peak < 16e6
