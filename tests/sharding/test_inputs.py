"""What can be given to ``shamisa score --out``: tars, Parquet, folders, near and far; refusals."""

from __future__ import annotations

import importlib.util
import io
import json
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import Result
from shard_data import Inline, add_member, make_tars, rows_of

from shamisa_cli.errors import ShamisaError, UsageError
from shamisa_cli.sharding.inputs import expand_range
from shamisa_cli.sharding.samples import tar_samples

Run = Callable[..., Result]


def scored(score: Run, *args: object) -> list[dict[str, Any]]:
    """The rows of a run into the new folder ``scores``."""
    result = score(*args, "--out", "scores")
    assert result.exit_code in (0, 1), result.output
    return rows_of(Path("scores"))


def as_tar(*members: tuple[str, bytes]) -> io.BytesIO:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, content in members:
            add_member(archive, name, content)
    file.seek(0)
    return file


def test_ranges() -> None:
    assert list(expand_range("s3://b/{00009..00011}.tar")) == [
        "s3://b/00009.tar", "s3://b/00010.tar", "s3://b/00011.tar"
    ]  # fmt: skip
    assert list(expand_range("{9..10}/{0..1}")) == ["9/0", "9/1", "10/0", "10/1"]
    assert list(expand_range("plain.tar")) == ["plain.tar"]
    for wrong in ("{3..1}.tar", "{0..99999999999}.tar"):
        with pytest.raises(UsageError, match="a range goes up"):
            list(expand_range(wrong))


def test_samples_of_a_tar_in_the_webdataset_layout() -> None:
    file = as_tar(
        ("./a/1.input.jpg", b"x"),
        ("./a/1.json", b'{"caption": null, "n": 1}'),
        ("./a/1.target.png", b"y"),
        ("./a/1.txt", b"words\n"),
        ("b/1.txt", b"no image"),
        ("c.2/1.jpg", b"z"),
        ("c.2/1.json", b"{torn"),
        ("c.2/2.cls", b"7"),
        ("c.2/2.JPG", b"u"),
    )
    found = [(s.key, s.path, s.image, s.beside) for s in tar_samples(file, "t.tar")]
    facts = {"caption": "words", "n": 1}
    assert found == [
        ("a/1", "t.tar/./a/1.input.jpg", b"x", facts),
        ("a/1", "t.tar/./a/1.target.png", b"y", facts),
        ("c.2/1", "t.tar/c.2/1.jpg", b"z", {}),
        ("c.2/2", "t.tar/c.2/2.JPG", b"u", {"cls": "7"}),
    ]


def test_a_damaged_tar_loses_no_rows_in_silence() -> None:
    content = bytearray(as_tar(*((f"{n}.jpg", b"x" * 600) for n in range(4))).getvalue())
    content[2 * 1536 + 10] ^= 255  # in the header of the third member
    with pytest.raises(ShamisaError, match=r"t.tar: damaged or torn \(bad header at byte 3072\)"):
        list(tar_samples(io.BytesIO(bytes(content)), "t.tar"))
    whole = as_tar(("a.jpg", b"x" * 600), ("b.jpg", b"y" * 600)).getvalue()
    for length in (1700, 2100, 2500):  # in the second header, or the second content
        with pytest.raises(ShamisaError, match="damaged or torn"):
            list(tar_samples(io.BytesIO(whole[:length]), "t.tar"))
    assert not list(tar_samples(as_tar(), "t.tar"))
    with pytest.raises(ShamisaError, match="none of its 1 members is a photo"):
        list(tar_samples(as_tar(("a.npy", b"x")), "t.tar"))


@pytest.mark.parametrize("layout", ["bytes", "struct"])
def test_parquet(
    layout: str, contents: list[bytes], tmp_path: Path, score: Run, inline: Inline,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    images: list[Any] = [*contents[:2], None, b"no photo"]
    if layout == "struct":
        images = [image and {"bytes": image, "path": "x.jpg"} for image in images]
        images[3] = {"bytes": None, "path": "far/away.jpg"}
    columns: dict[str, Any] = {
        "pixels": images,
        "url": ["u0", "u1", "u2", None],
        "width": pa.array([1, 2, 3, 4], pa.int16()),
        "kind": pa.array(["a", "b", "a", "b"]).dictionary_encode(),
        "blob": [b"\0"] * 4,
        "boxes": [[1], [2], [], None],
    }
    pq.write_table(pa.table(columns), "a.parquet")
    pq.write_table(pa.table({**columns, "uid": ["0f", "1f", "2f", "3f"]}), "b.parquet")
    rows = scored(score, "*.parquet", "--image-column", "pixels")
    assert len(inline.done) == 2
    assert [row["path"] for row in rows[:2]] == ["a.parquet/0", "a.parquet/1"]
    assert [row["key"] for row in rows] == ["0", "1", "2", "3"] * 2
    assert [row["uid"] for row in rows] == [None] * 4 + ["0f", "1f", "2f", "3f"]
    assert [row["status"] == "failed" for row in rows] == [False, False, True, True] * 2
    assert "no image in this row" in rows[2]["error"]
    assert ("embed the images" if layout == "struct" else "not a photo") in rows[3]["error"]
    assert [row["url"] for row in rows[:4]] == ["u0", "u1", "u2", None]
    assert [row["input_width"] for row in rows[:4]] == [1, 2, 3, 4]
    assert [row["kind"] for row in rows[:4]] == ["a", "b", "a", "b"]
    assert not {"blob", "boxes", "pixels"}.intersection(rows[0])
    schema = pq.read_schema(next(Path("scores").glob("part-*")))
    assert schema.field("input_width").type == pa.int16()
    assert schema.field("kind").type == pa.string()


def test_what_is_kept_is_chosen_by_name(few: Path, score: Run, inline: Inline) -> None:
    rows = scored(score, "data/*.tar", "--keep", "url,similarity")
    assert list(rows[0])[-3:] == ["phash", "url", "similarity"]
    result = score("data/*.tar", "--out", "none", "--keep", "")
    assert result.exit_code == 0
    assert list(rows_of(Path("none"))[0])[-1] == "phash"
    result = score("data/*.tar", "--out", "other", "--keep", "captain")
    assert result.exit_code == 2
    assert "unknown column to keep: 'captain'. Did you mean caption?" in result.stderr


def test_values_that_are_not_of_their_columns_type(
    few: Path, contents: list[bytes], score: Run, inline: Inline
) -> None:
    odd = [{"n": 1, "f": 0.5, "b": True}, {"n": "x", "f": 10**400, "b": 1, "s": "\ud800", "t": 1}]
    odd += [{"n": 1 << 80, "f": float("nan"), "b": None, "s": ["é"]}, {"n": 1e400, "f": 3}]
    for n, facts in enumerate([{"n": 1, "f": 1.5, "b": True, "s": "a"}] * 100 + odd):
        kind = "w" if n == 0 else "a"
        with tarfile.open("odd.tar", kind) as archive:
            add_member(archive, f"{n:03}.png", b"no photo")
            add_member(archive, f"{n:03}.json", json.dumps(facts).encode())
    rows = scored(score, "odd.tar")[100:]
    assert [row["n"] for row in rows] == [1, None, None, None]
    assert [row["f"] for row in rows[:2]] == [0.5, None]
    assert rows[2]["f"] != rows[2]["f"]
    assert rows[3]["f"] == 3.0
    assert [row["b"] for row in rows] == [True, None, None, None]
    assert [row["s"] for row in rows] == [None, "?", '["é"]', None]
    assert "t" not in rows[0]


def test_a_folder_is_listed_once_and_cut_into_shards(
    contents: list[bytes], tmp_path: Path, score: Run, inline: Inline,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    names = ["a/0.jpg", "a/1.jpg", "b.jpg", "c/d/2.jpg", "c/é ü.jpg"]
    for name, content in zip(names, contents, strict=False):
        Path("photos", name).parent.mkdir(parents=True, exist_ok=True)
        Path("photos", name).write_bytes(content)
    Path("photos/.hidden.jpg").write_bytes(contents[0])
    Path("photos/notes.txt").write_text("none")
    assert score("photos", "--out", "first", "--shard-size", "2").exit_code == 0
    rows = rows_of(Path("first"))
    assert [row["key"] for row in rows] == names
    assert [row["path"] for row in rows] == [f"photos/{name}" for name in names]
    assert len(inline.done) == 3
    Path("photos/new.jpg").write_bytes(contents[9])
    Path("photos/b.jpg").unlink()
    for part in Path("first").glob("part-*"):
        part.unlink()
    again = score("photos/", "--out", "first", "--shard-size", "2")
    assert again.exit_code == 1
    rows = rows_of(Path("first"))
    assert [row["key"] for row in rows] == names
    assert [row["error"] for row in rows] == ["", "", "no such file", "", ""]


def test_n_jobs_have_each_shard_once(few: Path, score: Run, inline: Inline) -> None:
    whole = scored(score, "data/*.tar")
    inline.done.clear()
    for k in (2, 1):
        result = score("data/*.tar", "--out", "jobs", "--shard", f"{k}/2")
        assert result.exit_code == 0, result.output
    assert [Path(shard.path).stem for shard in inline.done] == ["00001", "00000", "00002"]
    assert rows_of(Path("jobs")) == whole
    assert score("data/*.tar", "--out", "jobs", "--shard", "4/9").exit_code == 0


def test_embeddings_are_what_the_head_scores(few: Path, score: Run, inline: Inline) -> None:
    rows = scored(score, "data/00000.tar", "--embeddings")
    schema = pq.read_schema(next(Path("scores").glob("part-*")))
    size = schema.field("features").type.list_size
    assert schema.field("features").type == pa.list_(pa.float32(), size)
    assert all(len(row["features"]) == size for row in rows)
    assert rows[0]["features"] != rows[1]["features"]


def test_another_run_is_refused_by_what_differs(
    few: Path, contents: list[bytes], score: Run, inline: Inline
) -> None:
    asked = ("data/*.tar", "--out", "scores")
    assert score(*asked).exit_code == 0
    inline.done.clear()
    for more, said in (
        (["--model", "fast"], "model was tiny@"),
        (["--short-side", "300"], "--short-side was 512, now 300"),
        (["--crops", "five"], "crops was whole, now five"),
        (["--embeddings"], "embeddings was False, now True"),
        (["--keep", "url"], "keep was not given, now url"),
        (["--max-pixels", "100"], "--max-pixels was 256000000, now 100"),
        (["data/00000.tar", "data2/00000.tar"], "adds"),
    ):
        if "data2/00000.tar" in more:
            Path("data2").mkdir()
            make_tars(Path("data2"), [contents[:1]])
        result = score(*asked, *more)
        assert result.exit_code == 2
        assert said in result.stderr
        assert "holds a run that differs" in result.stderr
    result = score("data/00000.tar", "--out", "scores")
    assert f"lacks {few}/00001.tar and 1 more" in result.stderr
    make_tars(few, [contents[3:5]])
    assert "00000.tar was replaced since" in score(*asked).stderr
    assert not inline.done


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--engine", "ray"], "--engine needs --out"),
        (["data/00000.tar", "--shard", "1/2"], "--shard needs --out"),
        (["data/*.tar", "--out", "s", "--csv", "x.csv"], "--csv has no effect with --out"),
        (["data/*.tar", "--out", "s", "--top", "3"], "--top has no effect with --out"),
        (["data/*.tar", "--out", "s", "--shard", "0/2"], "shares count from 1: 1/2 to 2/2"),
        (["data/*.tar", "--out", "s", "--shard", "half"], "expected k/n, such as 17/256"),
        (["data/*.tar", "--out", "s", "--status", "s"], "give one of them"),
        (["data", "--status", "s"], "PATHS has no effect with --status"),
        (["--status", "nothing"], "holds no run"),
        (["--out", "s"], "no inputs given"),
        (["data/*.tar", "--out", "s", "--engine", "rya"], "Did you mean ray?"),
        (["data/*.tar", "--out", "s", "--address", "x"], "--address is for the engines ray"),
        (["data/*.tar", "--out", "s", "--workers", "0"], "--workers must be at least 1"),
        (["data/*.tar", "--out", "s", "--image-column", "x"], "--image-column is for Parquet"),
        (["data/*.tar", "--out", "s", "--shard-size", "9"], "--shard-size is for folders"),
        (["data/{00000..00005}.tar", "--out", "s"], "data/00003.tar: no such file (and 2 more"),
        (["data/x*.tar", "--out", "s"], "data/x*.tar: nothing matches"),
        (["nowhere", "--out", "s"], "nowhere: no such file or folder"),
        (["data", "--out", "s"], "it has 3 .tar files: give 'data/*.tar'"),
        (["data/00000.tar", "photo.jpg", "--out", "s"], "a run reads one kind of input"),
        (["data/*.tar", "--out", "data/00000.tar"], "is a file, not a folder"),
        (["ftq://x/a.tar", "--out", "s"], "ftq://x/a.tar: cannot be read"),
    ],
)
def test_what_is_refused(args: list[str], said: str, few: Path, score: Run) -> None:
    result = score(*args)
    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert "Traceback" not in result.output
    assert not list(Path().glob("s/part-*"))


def test_storage_that_needs_an_extra(
    few: Path, score: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda *_: None)
    for address, extra in (("s3://b/x.tar", r"shamisa[s3]"), ("gs://b/x.tar", "shamisa[gcs]")):
        result = score(address, "--out", "s")
        assert f"pip install '{extra}'" in result.stderr
        assert result.exit_code == 2


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The address of an S3 server of this process."""
    server = pytest.importorskip("moto.server", reason="moto is not installed")
    pytest.importorskip("s3fs", reason="s3fs is not installed")
    running = server.ThreadedMotoServer(port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


def test_tars_from_s3_and_parts_into_it(
    s3: str, few: Path, score: Run, inline: Inline, monkeypatch: pytest.MonkeyPatch
) -> None:
    import s3fs

    for name, value in (
        ("AWS_ENDPOINT_URL", s3),
        ("AWS_ACCESS_KEY_ID", "me"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
    ):
        monkeypatch.setenv(name, value)
    bucket = s3fs.S3FileSystem(skip_instance_cache=True)
    bucket.mkdir("bucket")
    bucket.put(str(few), "bucket/data", recursive=True)
    near = scored(score, "data/{00000..00002}.tar")
    asked = ("s3://bucket/data/{00000..00002}.tar", "--out", "s3://bucket/scores/")
    result = score(*asked)
    assert result.exit_code == 0, result.output
    parts = bucket.glob("bucket/scores/part-*.parquet")
    assert len(parts) == 3
    bucket.rm(parts[0])
    inline.done.clear()
    assert score(*asked).exit_code == 0
    assert len(inline.done) == 1
    bucket.invalidate_cache()
    bucket.get("bucket/scores", "fetched", recursive=True)
    names = {path.name.partition("-")[0] for path in Path("fetched").iterdir()}
    assert names == {"manifest.json", "part"}
    far = rows_of(Path("fetched"))
    assert [row["path"] for row in far] == [f"s3://bucket/{row['path']}" for row in near]
    assert [{**row, "path": ""} for row in far] == [{**row, "path": ""} for row in near]
    assert "shards  3 of 3 done" in score("--status", "s3://bucket/scores").stdout
    bucket.put_file("data/00001.tar", "bucket/data/00000.tar")
    assert "00000.tar was replaced since" in score(*asked).stderr
    photos = score("s3://bucket/data", "--out", "s3://bucket/other")
    assert "it has 3 .tar files" in photos.stderr
