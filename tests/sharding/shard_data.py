"""Shards for tests: tars in the img2dataset layout, and stand-ins for an engine and a scorer."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from shamisa_cli.engines.engine import Ended, Prepare
from shamisa_cli.scoring.score import Score

FIXED = ("--device", "cpu", "--precision", "fp32", "--crops", "whole")
"""Options of ``score`` by which small photos cost little."""

TARS, IN_TAR = 20, 10
"""How many tars there are, and how many good photos in each."""


def add_member(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    """Put an ordinary file into a tar."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def facts_of(key: str, content: bytes) -> dict[str, Any]:
    """What img2dataset says of an image, and DataComp's uid."""
    return {
        "key": key,
        "uid": hashlib.md5(content).hexdigest(),
        "url": f"https://example.org/{key}.jpg",
        "caption": f"a photo {key}",
        "similarity": int(key) / 7,
        "original_width": 640,
        "status": "success",
        "exif": {"Model": "X"},
    }


def make_tars(folder: Path, contents: Sequence[Sequence[bytes]]) -> list[Path]:
    """A tar of each of ``contents``."""
    made = []
    for n, photos in enumerate(contents):
        made.append(folder / f"{n:05}.tar")
        with tarfile.open(made[-1], "w") as archive:
            for m, content in enumerate(photos):
                key = f"{n:05}{m:04}"
                facts = facts_of(key, content)
                add_member(archive, f"{key}.jpg", content)
                add_member(archive, f"{key}.txt", facts["caption"].encode())
                add_member(archive, f"{key}.json", json.dumps(facts).encode())
    return made


def rows_of(folder: Path) -> list[dict[str, Any]]:
    """All rows of a folder of parts, by path."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    parts = sorted(folder.glob("part-*.parquet"))
    tables = [pq.ParquetFile(part).read().replace_schema_metadata() for part in parts]
    return sorted(pa.concat_tables(tables).to_pylist(), key=lambda row: row["path"])


class Inline:
    """An engine that works in the caller; ``done`` are its tasks."""

    name = "inline"

    def __init__(self) -> None:
        self.done: list[Any] = []

    def run(self, prepare: Prepare, tasks: Iterable[Any]) -> Iterator[Ended]:
        work = prepare()
        for task in tasks:
            self.done.append(task)
            try:
                yield Ended(task, work(task))
            except Exception as error:
                yield Ended(task, error=str(error))


class FakeScorer:
    """Gives every photo the same score, without looking at it; ``watch`` is called for each."""

    model = "fake@00000000"

    def __init__(self, watch: Any = lambda n: None) -> None:
        self.head = SimpleNamespace(info=SimpleNamespace(features=4))
        self.extractor = SimpleNamespace(device=SimpleNamespace(type="cpu"))
        self._watch = watch

    def score_with_features(self, photos: Iterable[Any]) -> Iterator[tuple[Score, None]]:
        for n, _ in enumerate(photos):
            self._watch(n)
            yield Score("", 50.0, 9, 9, 9, 9, self.model, "toy"), None
