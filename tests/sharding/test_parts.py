"""Parts: the types that docs state, other readers, the same bytes again, and flat memory."""

from __future__ import annotations

import os
import re
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from shard_data import FakeScorer, Inline, add_member

from shamisa_cli.sharding import schema
from shamisa_cli.sharding.kept import nothing_kept
from shamisa_cli.sharding.manifest import Shard
from shamisa_cli.sharding.parts import Counts, read_counts, writing_part
from shamisa_cli.sharding.samples import parquet_samples
from shamisa_cli.sharding.storage import Folder
from shamisa_cli.sharding.work import PrepareScoring, ShardScorer

DUCKDB = {"string": "VARCHAR", "double": "DOUBLE", "int32": "INTEGER", "uint64": "UBIGINT"}
DATASETS = {"string": "string", "double": "float64", "int32": "int32", "uint64": "uint64"}


def stated() -> dict[str, str]:
    """Names and types of the table in the schema's docstring."""
    found = re.findall(r"^``(\w+)`` +(string|double|int32|uint64)\b", schema.__doc__ or "", re.M)
    assert len(found) == len(schema.OWN)
    return dict(found)


@pytest.fixture
def parts(few: Path, score: Any, inline: Inline) -> Path:
    """Three parts with features and a column of the input."""
    result = score("data/*.tar", "--out", "scores", "--embeddings", "--keep", "similarity")
    assert result.exit_code == 0, result.output
    return Path("scores").resolve()


def test_duckdb_reads_the_stated_types(parts: Path) -> None:
    duckdb = pytest.importorskip("duckdb", reason="DuckDB is not installed")
    table = f"read_parquet('{parts}/part-*.parquet')"
    with duckdb.connect() as base:
        found = {row[0]: row[1] for row in base.sql(f"describe select * from {table}").fetchall()}
        kinds = {name: DUCKDB[kind] for name, kind in stated().items()}
        assert found == {**kinds, "features": "FLOAT[]", "similarity": "DOUBLE"}
        rows = base.sql(f"select count(*), max(score), bit_count(xor(max(phash), 0)) from {table}")
        count, best, bits = rows.fetchall()[0]
    assert count == 6
    assert 0 <= best <= 100
    assert 0 < bits < 64


def test_hugging_face_datasets_reads_the_stated_types(parts: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="datasets is not installed")
    files = str(parts / "part-*.parquet")
    found = datasets.Dataset.from_parquet(files, cache_dir=str(tmp_path / "cache"))
    kinds = {name: datasets.Value(DATASETS[kind]) for name, kind in stated().items()}
    features = dict(found.features)
    vectors = features.pop("features")
    assert features == {**kinds, "similarity": datasets.Value("float64")}
    assert (vectors.feature, vectors.length) == (
        datasets.Value("float32"),
        len(found[0]["features"]),
    )
    assert found.num_rows == 6


def test_the_same_rows_are_the_same_bytes_and_are_whole_or_absent(tmp_path: Path) -> None:
    row: dict[str, Any] = dict.fromkeys(schema.OWN)
    contents = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        folder = Folder(str(tmp_path / name))
        with writing_part(folder, "x", schema.part_schema()) as part:
            for n in range(3):
                part.add({**row, "key": str(n), "status": "failed" if n == 1 else "ok"})
        contents.append((tmp_path / name / "part-x.parquet").read_bytes())
        assert read_counts(folder, "part-x.parquet") == Counts(3, 1)
    assert contents[0] == contents[1]
    with pytest.raises(ValueError, match="poison"):
        _torn(folder, {**row, "score": 1.0})
    assert [path.name for path in (tmp_path / "two").iterdir()] == ["part-x.parquet"]


def test_what_killed_processes_left_is_swept_away(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path))
    with folder.writing("part-x.parquet") as ours:
        name = ours.name
        ours.write_bytes(b"PAR1")
        ended = tmp_path / name.replace(f".{os.getpid()}.", f".{_ended_process()}.")
        ended.write_bytes(b"PAR1")
        (tmp_path / ".notes.tmp").touch()
        folder.sweep()
        assert {path.name for path in tmp_path.iterdir()} == {name, ".notes.tmp"}
    assert {path.name for path in tmp_path.iterdir()} == {"part-x.parquet", ".notes.tmp"}


def _ended_process() -> int:
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def _torn(folder: Folder, row: dict[str, Any]) -> None:
    with writing_part(folder, "y", schema.part_schema()) as part:
        part.add(row)
        raise ValueError("poison")


def test_memory_is_flat_over_the_members_of_a_tar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """tarfile keeps the header of each, which here would be 16 MB."""
    monkeypatch.setattr("shamisa_cli.sharding.parts._ROWS", 200)
    with tarfile.open(tmp_path / "big.tar", "w") as archive:
        for n in range(2000):
            for ending in ("jpg", *map(str, range(19))):
                add_member(archive, f"{n}.{ending}", b"x")
    used: list[int] = []

    def watch(n: int) -> None:
        if n % 200 == 100:
            used.append(resident())

    how = PrepareScoring(
        FakeScorer, FakeScorer.model, str(tmp_path), "tar", None, nothing_kept(), False
    )
    counts = ShardScorer(how, FakeScorer(watch))(Shard("x", "big.tar", str(tmp_path / "big.tar")))
    assert counts == Counts(2000, 0)
    assert pq.ParquetFile(tmp_path / "part-x.parquet").num_row_groups == 10
    assert max(used[2:]) - used[1] < 10 << 20


def test_memory_is_flat_over_a_large_row_group(tmp_path: Path) -> None:
    photo = np.random.default_rng(0).bytes(1 << 19)

    def batches() -> Iterator[pa.Array]:
        for n in range(300):
            yield pa.array([n.to_bytes(4, "big") + photo])

    column = pa.chunked_array(list(batches()))
    file = tmp_path / "big.parquet"
    pq.write_table(pa.table({"image": column}), file, compression="none", use_dictionary=False)
    assert pq.read_metadata(file).num_row_groups == 1
    del column
    pa.default_memory_pool().release_unused()
    before, most = resident(), 0
    with file.open("rb") as opened:
        for n, sample in enumerate(parquet_samples(opened, "big.parquet", "image", [])):
            assert isinstance(sample.image, bytes)
            assert sample.image[:4] == n.to_bytes(4, "big")
            most = max(most, resident())
    assert n == 299
    assert most - before < 80 << 20  # of 150 MB


def resident() -> int:
    """Bytes of memory that this process has."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        pytest.skip("no /proc here")
    return pages * os.sysconf("SC_PAGE_SIZE")
