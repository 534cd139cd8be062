"""A Hub that falls silent half-way: every question has an end, and the message is clear."""

from __future__ import annotations

import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from click.testing import CliRunner
from hub_server import HubServer
from huggingface_hub import constants, file_download

from shamisa_cli.cli import app

SILENCE = 30.0
"""Seconds; far more than all attempts take together."""


@pytest.fixture
def impatient(hub: HubServer, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> HubServer:
    """The tiny model on a Hub, whose client waits for 0.3 s, and not between attempts."""
    paths = [path for path in tiny_model.rglob("*") if path.is_file()]
    hub.state.add("me/tiny", {str(p.relative_to(tiny_model)): p.read_bytes() for p in paths})
    wait(0.3, monkeypatch)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    hub.faults.delay = SILENCE
    return hub


def wait(seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """How long the client waits for an answer."""
    monkeypatch.setattr(constants, "HF_HUB_ETAG_TIMEOUT", seconds)
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", seconds)
    monkeypatch.setattr(file_download, "_ETAG_RETRY_TIMEOUT", seconds, raising=False)  # else 60


def pull(name: str) -> str:
    """What is said; before the Hub breaks its silence."""
    started = time.monotonic()
    result = CliRunner().invoke(app, ["pull", name])
    assert time.monotonic() - started < SILENCE
    assert result.exit_code == 1, result.output
    assert "Traceback" not in result.output
    return result.output


@pytest.mark.parametrize("answered", [1, 3, 4])
def test_a_hub_that_falls_silent(impatient: HubServer, answered: int) -> None:
    impatient.faults.delay_after = answered
    said = pull("hf://me/tiny")
    assert "hf://me/tiny: " in said
    assert "did not answer in time; run the command again" in said


def test_a_hub_that_keeps_its_revisions_to_itself(
    impatient: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait(2, monkeypatch)
    impatient.faults.delay_after = 1
    assert "hf://me/tiny@v9: there is no revision 'v9'" in pull("hf://me/tiny@v9")
    assert impatient.requests[1][1].endswith("/refs")


@pytest.mark.skipif(find_spec("hf_xet") is None, reason="without Xet nothing asks for its token")
def test_a_hub_that_gives_no_token_for_xet(
    impatient: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait(1, monkeypatch)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", False, raising=False)
    impatient.state.xet = True
    impatient.faults.delay_in = "xet-read-token"
    assert "did not answer in time; run the command again" in pull("hf://me/tiny")
    assert any("xet-read-token" in path for _, path, _ in impatient.requests)


def test_the_files_are_listed_once(impatient: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    wait(10, monkeypatch)
    impatient.faults.delay = 0.0
    result = CliRunner().invoke(app, ["pull", "hf://me/tiny"])
    assert result.exit_code == 0, result.output
    assert [path for _, path, _ in impatient.requests if path.startswith("/api/")] == [
        "/api/models/me/tiny?blobs=true"
    ]
