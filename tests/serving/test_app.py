"""The web application: the same scores, and a refusal for everything that is not a photo."""

from __future__ import annotations

import asyncio
import json
import struct
import threading
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="needs the extra serve")

from click.testing import CliRunner
from fastapi import FastAPI, HTTPException, Request
from fastapi.testclient import TestClient
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families

from shamisa_cli.cli import app as command_line
from shamisa_cli.scoring import Scorer, load
from shamisa_cli.serving.app import make_app
from shamisa_cli.serving.uploads import read_uploads

MAX_PIXELS = 10_000_000
MAX_BYTES = 3_000_000


@pytest.fixture(scope="module")
def scorer(tiny_model: Path) -> Scorer:
    return load(tiny_model, device="cpu", precision="fp32", max_pixels=MAX_PIXELS, workers=0)


@pytest.fixture
def app(scorer: Scorer) -> FastAPI:
    return make_app(scorer, threads=2, places=2, max_bytes=MAX_BYTES)


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory, sample_photos: list[Image.Image]) -> Path:
    """A large JPEG that is decoded at a fraction, one that lies on its side, a tiny gray PNG."""
    folder = tmp_path_factory.mktemp("photos")
    china, flower = sample_photos
    china.resize((3200, 2136)).save(folder / "large.jpg", quality=90)
    exif = Image.Exif()
    exif[0x0112] = 6  # turned
    flower.save(folder / "turned.jpg", exif=exif)
    flower.convert("L").resize((90, 60)).save(folder / "tiny.png")
    return folder


def bomb() -> bytes:
    """A PNG of a few bytes whose header promises 900 megapixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(bytes(100_000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


def test_a_photo_has_the_score_of_the_command_line(
    client: TestClient, photos: Path, tiny_model: Path, tmp_path: Path
) -> None:
    files = sorted(photos.iterdir())
    model = ["--model", str(tiny_model), "--device", "cpu", "--precision", "fp32"]
    rows_file = tmp_path / "rows.json"
    command = ["score", *map(str, files), "--json", str(rows_file), *model]
    assert CliRunner().invoke(command_line, command).exit_code == 0
    expected = json.loads(rows_file.read_text())
    assert len({row["score"] for row in expected}) == len(files)
    assert {row["status"] for row in expected} > {"ok"}  # one of them is padded

    sent = [("photos", (file.name, file.read_bytes())) for file in files]
    many = client.post("/score_many", files=sent).json()["rows"]
    for file, row, of_many in zip(files, expected, many, strict=True):
        as_form = client.post("/score", files={"photo": (file.name, file.read_bytes())})
        as_body = client.post("/score", content=file.read_bytes())
        assert as_form.status_code == as_body.status_code == 200
        assert as_form.json() == of_many == {**row, "path": file.name}
        assert as_body.json() == {**row, "path": ""}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"no picture", "not a photo in a format"),
        (bomb(), "900.0 MP, over the cap of 10 MP"),
        (b"cut", "damaged or truncated"),
    ],
)
def test_one_bad_photo_is_a_failed_row_among_others_and_a_refusal_alone(
    client: TestClient, photos: Path, content: bytes, reason: str
) -> None:
    good = (photos / "turned.jpg").read_bytes()
    content = good[:4000] if content == b"cut" else content
    alone = client.post("/score", files={"photo": ("x.png", content)})
    assert alone.status_code == 422
    assert alone.json()["detail"].startswith(("damaged", "not a photo", "30000×30000"))
    assert reason in alone.json()["detail"]

    contents = [good, content, good]
    sent = [("photos", (f"{n}.jpg", each)) for n, each in enumerate(contents)]
    among = client.post("/score_many", files=sent)
    assert among.status_code == 200
    rows = among.json()["rows"]
    assert [row["path"] for row in rows] == ["0.jpg", "1.jpg", "2.jpg"]
    assert [row["status"] == "failed" for row in rows] == [False, True, False]
    assert rows[1]["error"] == alone.json()["detail"]
    assert rows[1]["score"] is None
    assert rows[0]["score"] == rows[2]["score"] > 0


@pytest.mark.parametrize("path", ["/score", "/score_many"])
@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ({"content": b""}, "no photo in this request"),
        ({"data": {"url": "http://127.0.0.1/x.jpg"}, "files": {"a": b"x"}}, "nothing is fetched"),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data"}}, "boundary"),
        (
            {"content": b"x", "headers": {"content-type": "multipart/form-data; boundary=b"}},
            "multipart",
        ),
        ({"files": [("a", (f"{n}", b"x")) for n in range(1001)]}, "Too many files"),
    ],
)
def test_what_is_no_request_for_a_score_is_refused(
    client: TestClient, path: str, request_: dict[str, Any], reason: str
) -> None:
    answer = client.post(path, **request_)
    assert answer.status_code == 400
    assert reason in answer.json()["detail"]


def test_several_photos_are_sent_to_the_other_door(client: TestClient, photos: Path) -> None:
    good = (photos / "tiny.png").read_bytes()
    answer = client.post("/score", files=[("a", good), ("b", good)])
    assert answer.status_code == 400
    assert "/score_many" in answer.json()["detail"]


def test_a_body_that_says_it_is_too_large_is_not_asked_for(app: FastAPI) -> None:
    async def receive() -> dict[str, Any]:
        raise AssertionError("the body was asked for")

    headers = {"content-length": str(MAX_BYTES + 1), "expect": "100-continue"}
    status, detail = asyncio.run(post(app, receive, headers))
    assert (status, str(MAX_BYTES) in detail) == (413, True)


@pytest.mark.parametrize("kind", ["image/jpeg", "multipart/form-data; boundary=b"])
def test_a_body_that_grows_too_large_is_not_read_for_ever(app: FastAPI, kind: str) -> None:
    """It is refused at the limit, and read on for as much again: else no client sees the answer."""
    head = b'--b\r\nContent-Disposition: form-data; name="a"; filename="a.jpg"\r\n\r\n'
    sent: list[int] = []

    async def receive() -> dict[str, Any]:
        chunk = bytes(MAX_BYTES // 4) if sent or kind == "image/jpeg" else head
        sent.append(len(chunk))
        return {"type": "http.request", "body": chunk, "more_body": True}

    status, _ = asyncio.run(post(app, receive, {"content-type": kind}))
    assert status == 413
    assert 2 * MAX_BYTES < sum(sent) <= 2.5 * MAX_BYTES


async def post(app: FastAPI, receive: Any, headers: dict[str, str]) -> tuple[int, str]:
    """Status and detail of the answer to a POST to /score whose body comes by ``receive``."""
    answer: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        answer.append(message)

    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "POST", "path": "/score", "headers": raw, "query_string": ""}
    await app(scope, receive, send)
    assert answer[0]["type"] == "http.response.start"
    return answer[0]["status"], json.loads(answer[1]["body"])["detail"]


def test_a_body_that_does_not_come_is_given_up() -> None:
    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    async def read() -> None:
        scope = {"type": "http", "method": "POST", "headers": []}
        await read_uploads(Request(scope, receive), MAX_BYTES, seconds=0.01)

    with pytest.raises(HTTPException) as refused:
        asyncio.run(read())
    assert refused.value.status_code == 408


def test_a_full_queue_says_when_to_come_back(
    client: TestClient, scorer: Scorer, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two places, both taken by photos that are being scored: the loop still answers others."""
    photo = (photos / "tiny.png").read_bytes()
    begun, go_on = threading.Semaphore(0), threading.Event()
    score = scorer.score

    def slow(upload: Any) -> Any:
        begun.release()
        assert go_on.wait(60)
        return score(upload)

    monkeypatch.setattr(scorer, "score", slow)
    with ThreadPoolExecutor(2) as pool:
        taken = [pool.submit(client.post, "/score", content=photo) for _ in range(2)]
        try:
            assert begun.acquire(timeout=60)
            assert begun.acquire(timeout=60)
            refused = [client.post(path, content=photo) for path in ("/score", "/score_many")]
            assert client.get("/health").status_code == 200
            assert gauges(client)["shamisa_photos_waiting"] == 2
        finally:
            go_on.set()
        assert [answer.result().status_code for answer in taken] == [200, 200]
    for answer in refused:
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 1
    assert client.post("/score", content=photo).status_code == 200
    assert gauges(client)["shamisa_requests_in_hand"] == 0


def test_an_accelerator_gets_as_many_photos_as_fill_a_pass(
    client: TestClient, scorer: Scorer, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = [file.read_bytes() for file in sorted(photos.iterdir())] + [b"no picture"]
    sent = [("photos", (f"{n}", content)) for n, content in enumerate(contents)]
    one_by_one = client.post("/score_many", files=sent).json()["rows"]

    groups: list[int] = []
    score_many = scorer.score_many

    def noted(uploads: Any) -> Any:
        groups.append(len(uploads))
        return score_many(uploads)

    monkeypatch.setattr(scorer.extractor, "photos_per_pass", 3)
    monkeypatch.setattr(scorer, "score_many", noted)
    together = client.post("/score_many", files=sent).json()["rows"]
    assert sorted(groups) == [1, 3]
    for row, alone in zip(together, one_by_one, strict=True):
        assert row["score"] == pytest.approx(alone["score"], abs=0.01)
        assert {**row, "score": 0, "uncertainty": 0} == {**alone, "score": 0, "uncertainty": 0}


def test_a_fault_of_ours_is_no_fault_of_the_photo(
    client: TestClient, scorer: Scorer, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(photo: object) -> None:
        raise RuntimeError("out of memory")

    photo = (photos / "tiny.png").read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr(scorer, "score", broken)
        assert [client.post("/score", content=photo).status_code for _ in range(3)] == [500] * 3
    assert client.post("/score", content=photo).status_code == 200


def test_health_metrics_and_the_openapi_page(
    client: TestClient, scorer: Scorer, photos: Path
) -> None:
    good = (photos / "tiny.png").read_bytes()
    client.post("/score", content=good)
    client.post("/score", content=b"none")
    client.post("/score_many", files=[("a", good), ("b", b"none"), ("c", good)])
    client.get("/absent")
    counted = gauges(client)
    assert counted["shamisa_photos_total", "scored"] == 3
    assert counted["shamisa_photos_total", "failed"] == 2
    assert counted["shamisa_requests_total", "200", "/score"] == 1
    assert counted["shamisa_requests_total", "422", "/score"] == 1
    assert counted["shamisa_requests_total", "404", "other"] == 1
    assert counted["shamisa_request_seconds_count", "/score"] == 2
    assert counted["shamisa_places"] == 2

    health = client.get("/health").json()
    assert health["status"] == "ok"
    assert health["model"] == scorer.model
    described = client.get("/openapi.json").json()
    assert set(described["paths"]) == {"/score", "/score_many", "/health", "/metrics"}
    assert {"200", "400", "413", "422", "503"} <= set(
        described["paths"]["/score"]["post"]["responses"]
    )
    assert client.get("/docs").status_code == 200


def gauges(client: TestClient) -> dict[Any, float]:
    """The values of /metrics, by name, or by name and the values of the labels."""
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    samples = [s for f in text_string_to_metric_families(answer.text) for s in f.samples]
    return {
        (sample.name, *map(sample.labels.get, sorted(sample.labels)))
        if sample.labels
        else sample.name: sample.value
        for sample in samples
    }
