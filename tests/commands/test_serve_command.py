"""``shamisa serve`` as a process: it listens, answers, and ends what it has begun."""

from __future__ import annotations

import http.client
import importlib.util
import json
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


@pytest.fixture
def server(tiny_model: Path) -> Iterator[subprocess.Popen[str]]:
    """A server on a free port; its first lines are not yet read."""
    pytest.importorskip("fastapi", reason="needs the extra serve")
    command = [sys.executable, "-m", "shamisa_cli", "serve", "--port", "0", "--device", "cpu"]
    command += ["--model", str(tiny_model)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, encoding="utf-8")
    yield process
    process.kill()
    process.wait()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to send")
def test_a_request_in_hand_is_answered_after_sigterm(
    server: subprocess.Popen[str], sample_photos: list[Image.Image], tmp_path: Path
) -> None:
    assert server.stderr is not None
    assert server.stderr.readline().startswith("model tiny@")
    url = next(word for word in server.stderr.readline().split() if word.startswith("http"))
    host, port = urlsplit(url.rstrip(";")).hostname, urlsplit(url.rstrip(";")).port
    sample_photos[0].save(tmp_path / "photo.png")
    photo = (tmp_path / "photo.png").read_bytes()

    connection = http.client.HTTPConnection(str(host), port, timeout=60)
    connection.putrequest("POST", "/score")
    connection.putheader("Content-Length", str(len(photo)))
    connection.putheader("Expect", "100-continue")  # the answer to it shows that it is in hand
    connection.endheaders(photo[:100])
    assert connection.sock.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
    server.send_signal(signal.SIGTERM)
    while _listens(str(host), int(port or 0)):
        assert server.poll() is None
    connection.send(photo[100:])
    answer = connection.getresponse()
    assert answer.status == 200
    assert json.loads(answer.read())["score"] >= 0
    assert server.wait(60) == 0
    assert "Traceback" not in server.stderr.read()


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


def test_without_the_extra_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    result = CliRunner().invoke(app, ["serve"])
    assert result.exit_code == 2
    assert "shamisa[serve]" in result.stderr
