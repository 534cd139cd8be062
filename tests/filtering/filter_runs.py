"""Small runs of ``score --out``: tars, a manifest and parts, without a model."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from shamisa_cli.sharding.inputs import stat_files
from shamisa_cli.sharding.kept import kept_of_samples
from shamisa_cli.sharding.manifest import Manifest
from shamisa_cli.sharding.parts import PartWriter, part_name
from shamisa_cli.sharding.samples import tar_samples
from shamisa_cli.sharding.schema import part_schema
from shamisa_cli.sharding.storage import Folder

Members = Mapping[str, bytes]


def uid_of(name: str) -> str:
    """A uid as DataComp's are."""
    return hashlib.md5(name.encode()).hexdigest()


def write_tar(path: Path, members: Members) -> None:
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(content), 7
            tar.addfile(member, io.BytesIO(content))


def read_tar(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        files = [member for member in tar if member.isfile()]
        return {each.name: tar.extractfile(each).read() for each in files}  # type: ignore[union-attr]


def sample(key: str, ending: str = "jpg") -> Members:
    """The files of a key: a picture in name, JSON, and a text."""
    about = json.dumps({"uid": uid_of(key), "url": f"http://a/{key}"}).encode()
    files = {ending: b"picture of " + key.encode(), "json": about, "txt": b"a, b"}
    return {f"{key}.{name}": content for name, content in files.items()}


def write_run(
    tars: Sequence[Path], out: Path, scores: Mapping[str, float | None], done: int | None = None
) -> None:
    """A manifest of ``tars``, and the parts of the first ``done``; ``scores`` by member."""
    kept = kept_of_samples([{"url": "x"}], None)
    inputs = stat_files([str(tar) for tar in tars])
    manifest = Manifest("m@1", "h", {}, {}, "tar", inputs, [], None, None, kept)
    folder = Folder(str(out))
    folder.make()
    folder.write("manifest.json", manifest.to_json())
    for shard in list(manifest.shards(folder))[:done]:
        with (
            open(shard.url, "rb") as file,  # noqa: PTH123
            PartWriter(out / part_name(shard.id), part_schema(kept=kept.fields())) as part,
        ):
            for each in tar_samples(file, shard.path):
                part.add(_row(each, scores[each.path.rpartition("/")[2]]))


def _row(each: Any, score: float | None) -> dict[str, Any]:
    return {
        "key": each.key,
        "uid": each.beside["uid"],
        "path": each.path,
        "score": score,
        "status": "failed" if score is None else "ok",
        "error": 'it is,\r\n"broken"' if score is None else "",
        "width": None if score is None else 640,
        "model": "m@1",
        "url": each.beside["url"],
    }


def write_parquet(path: Path, rows: Sequence[dict[str, Any]], **more: pa.DataType) -> Path:
    """A Parquet file with the columns of a part, and ``more``."""
    schema = part_schema(kept=[pa.field(name, kind) for name, kind in more.items()])
    pq.write_table(pa.Table.from_pylist(list(rows), schema), path)
    return path
