"""``shamisa serve`` as a process: it listens, answers, and ends what it has begun."""

from __future__ import annotations

import http.client
import importlib.util
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner
from PIL import Image

from shamisa_cli.cli import app
from shamisa_cli.commands.serve import serve

MAX_BYTES = 8_000_000
"""More than a socket takes in before it is read."""


@pytest.fixture
def server(tiny_model: Path) -> Iterator[subprocess.Popen[str]]:
    """A server on a free port; its first lines are not yet read."""
    pytest.importorskip("fastapi", reason="needs the extra serve")
    command = [sys.executable, "-m", "shamisa_cli", "serve", "--port", "0", "--device", "cpu"]
    command += ["--model", str(tiny_model), "--max-bytes", str(MAX_BYTES)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, encoding="utf-8")
    yield process
    process.kill()
    process.wait()


def test_the_command_and_the_application_have_the_same_defaults() -> None:
    """The command must not import the application for its help: it loads torch."""
    pytest.importorskip("fastapi", reason="needs the extra serve")
    from shamisa_cli.serving.app import MAX_BYTES, PLACES

    defaults = {option.name: option.default for option in serve.params}
    assert (defaults["max_bytes"], defaults["queue"]) == (MAX_BYTES, PLACES)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to send")
def test_clients_that_misbehave_and_a_request_in_hand_that_is_answered_after_sigterm(
    server: subprocess.Popen[str], sample_photos: list[Image.Image], tmp_path: Path
) -> None:
    host, port = _address(server)
    _send_too_much_and_go_away(host, port)
    sample_photos[0].save(tmp_path / "photo.png")
    photo = (tmp_path / "photo.png").read_bytes()

    connection = http.client.HTTPConnection(host, port, timeout=60)
    connection.putrequest("POST", "/score")
    connection.putheader("Content-Length", str(len(photo)))
    connection.putheader("Expect", "100-continue")  # the answer to it shows that it is in hand
    connection.endheaders(photo[:100])
    assert connection.sock.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
    server.send_signal(signal.SIGTERM)
    while _listens(host, port):
        assert server.poll() is None
    connection.send(photo[100:])
    answer = connection.getresponse()
    assert answer.status == 200
    assert json.loads(answer.read())["score"] >= 0
    assert server.wait(60) == 0
    assert server.stderr is not None
    assert "Traceback" not in server.stderr.read()


def _send_too_much_and_go_away(host: str, port: int) -> None:
    """The first sees the answer though it sends all at once; the second leaves no traceback."""
    large = http.client.HTTPConnection(host, port, timeout=60)
    large.request("POST", "/score", bytes(MAX_BYTES + MAX_BYTES // 2))
    assert large.getresponse().status == 413

    gone = http.client.HTTPConnection(host, port, timeout=60)
    gone.putrequest("POST", "/score")
    gone.putheader("Content-Length", "1000")
    gone.endheaders(b"half")
    gone.close()
    health = http.client.HTTPConnection(host, port, timeout=60)
    health.request("GET", "/health")
    assert health.getresponse().status == 200


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl on this machine")
def test_the_lines_with_curl_of_the_docs(
    server: subprocess.Popen[str], sample_photos: list[Image.Image], tmp_path: Path
) -> None:
    host, port = _address(server)
    for name in ("photo.jpg", "a.jpg", "b.jpg"):
        sample_photos[0].save(tmp_path / name)
    page = Path(__file__).resolve().parents[2] / "docs" / "serving.md"
    lines = re.findall(r"^ {4}(curl .*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert len(lines) == 2
    for line in lines:
        assert line in (serve.help or "")
        words = line.replace("127.0.0.1:8000", f"{host}:{port}").split()
        done = subprocess.run([*words, "-sS"], cwd=tmp_path, capture_output=True, check=True)
        answer = json.loads(done.stdout)
        rows = answer.get("rows", [answer])
        assert [row["path"] for row in rows] in ([""], ["a.jpg", "b.jpg"])
        assert all(row["score"] >= 0 for row in rows)


def _address(server: subprocess.Popen[str]) -> tuple[str, int]:
    """Host and port, from its first lines."""
    assert server.stderr is not None
    assert server.stderr.readline().startswith("model tiny@")
    url = next(word for word in server.stderr.readline().split() if word.startswith("http"))
    place = urlsplit(url.rstrip(";"))
    return str(place.hostname), int(place.port or 0)


def _listens(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), 60).close()
    except OSError:
        return False
    return True


def test_a_port_that_is_taken_is_told_before_the_model_is_loaded() -> None:
    pytest.importorskip("fastapi", reason="needs the extra serve")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = CliRunner().invoke(app, ["serve", "--port", port, "--model", "nosuchmodel"])
    assert result.exit_code == 2
    assert f"127.0.0.1:{port}: " in result.stderr
    assert "--port" in result.stderr


def test_a_host_that_is_not_there_is_told_as_it_was_given() -> None:
    pytest.importorskip("fastapi", reason="needs the extra serve")
    result = CliRunner().invoke(app, ["serve", "--host", "host.invalid"])
    assert result.exit_code == 2
    assert "host.invalid:8000" in result.stderr
    assert "--host" in result.stderr


def test_without_the_extra_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    result = CliRunner().invoke(app, ["serve"])
    assert result.exit_code == 2
    assert "shamisa[serve]" in result.stderr
