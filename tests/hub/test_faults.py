"""What goes wrong on the way: an end in any case, one plain message, and never half a model."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from importlib.util import find_spec
from pathlib import Path

import huggingface_hub
import pytest
from hub_server import HubServer, run
from huggingface_hub import constants, file_download

from shamisa_cli.errors import WeightsError
from shamisa_cli.models.names import locate_model
from shamisa_cli.models.store import load_encoder

NAME = "hf://me/tiny"
SILENCE = 30.0
"""Seconds; far more than all attempts take together."""
SILENT = "did not answer in time; run the command again"


def refused(*words: str, name: str = NAME) -> None:
    """Pull ``name``: there are one message with it and ``words``, and no model to be found."""
    said = run("pull", name, code=1).output
    for word in (name, *words):
        assert word in said
    with pytest.raises(WeightsError, match=f"run: shamisa pull {NAME}"):
        locate_model(NAME)


@pytest.mark.usefixtures("no_waits")
def test_a_connection_that_is_cut_goes_on_where_it_was(
    published: HubServer, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1000)  # 10 MB; whole chunks are kept
    published.faults.cuts, published.faults.cut_after = 2, 7000
    if huggingface_hub.__version__ < "2":  # it leaves the second attempt to the next run
        run("pull", NAME, code=1)
        published.faults.cuts = 0
    run("pull", NAME)
    assert "bytes=7000-" in published.ranges()
    found = locate_model(NAME)
    for file in ("model.safetensors", "heads/toy.safetensors", "config.json"):
        assert (found / file).read_bytes() == (tiny_model / file).read_bytes()


@pytest.mark.usefixtures("no_waits")
def test_a_connection_that_is_cut_for_good_leaves_no_half_model(published: HubServer) -> None:
    published.faults.cuts = 1000
    refused("cut off", "run the command again")
    published.faults.cuts = 0
    run("pull", NAME)
    before = locate_model(NAME)
    load_encoder(before)

    files = published.state.repositories["model", "me/tiny"].files()
    changed = {**files, "model.safetensors": files["model.safetensors"] + b"\0"}
    published.state.add("me/tiny", changed)
    published.faults.cuts = 1000
    run("pull", NAME, code=1)
    assert locate_model(NAME) == before  # the new version is not there; the old one still is
    load_encoder(before)


def test_a_file_that_arrives_damaged_is_removed(published: HubServer) -> None:
    published.faults.spoil = True
    refused("arrived damaged")
    published.faults.spoil = False
    run("pull", NAME)
    load_encoder(locate_model(NAME))


@pytest.mark.parametrize(
    ("token", "private", "words"),
    [
        ("hf_expired", True, ("access refused", "set HF_TOKEN, or run: hf auth login")),
        ("hf_reader", True, ("no such repository, or a private", "the token may see it")),
        ("", True, ("if me/tiny is private, set HF_TOKEN, or run: hf auth login",)),
        ("", False, ("gated", "ask for access at", "/me/tiny", "set HF_TOKEN")),
    ],
)
def test_without_access(
    published: HubServer,
    monkeypatch: pytest.MonkeyPatch,
    token: str,
    private: bool,
    words: tuple[str, ...],
) -> None:
    repository = published.state.repositories["model", "me/tiny"]
    repository.private, repository.gated = private, not private
    monkeypatch.setenv("HF_TOKEN", token)
    refused(*words)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0, ("no such repository", "check the name")),
        (503, ("try again later",)),
        (429, ("some minutes",)),
    ],
)
def test_a_hub_without_it_and_one_that_has_trouble(
    hub: HubServer, status: int, words: tuple[str, ...]
) -> None:
    hub.faults.status = status
    refused(*words)


def test_no_network(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setattr(constants, "ENDPOINT", nobody)
    refused(f"{nobody} cannot be reached", "check the network")


def test_offline_mode_is_honoured(published: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    refused("HF_HUB_OFFLINE")
    assert published.requests == []


def test_a_full_disk(
    published: HubServer, no_file_over: Callable[[int], AbstractContextManager[None]]
) -> None:
    with no_file_over(20_000):
        refused("no room on the disk", "HF_HOME")
    run("pull", NAME)


def test_a_cache_that_may_not_be_written(
    published: HubServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "file" / "hub"))
    refused(str(tmp_path / "file"))


@pytest.mark.parametrize(
    ("asked", "answered", "name", "words"),
    [
        ("", 0, NAME, SILENT),
        ("", 1, NAME, SILENT),
        ("", 4, NAME, SILENT),
        ("/refs", 0, "hf://me/tiny@v9", "unknown revision 'v9'"),  # here and below
        ("xet-read-token", 0, NAME, SILENT),  # the client itself has no limit
    ],
)
def test_a_hub_that_falls_silent(
    published: HubServer,
    monkeypatch: pytest.MonkeyPatch,
    no_waits: None,
    asked: str,
    answered: int,
    name: str,
    words: str,
) -> None:
    for limit in ("HF_HUB_ETAG_TIMEOUT", "HF_HUB_DOWNLOAD_TIMEOUT"):
        monkeypatch.setattr(constants, limit, 0.5)
    monkeypatch.setattr(file_download, "_ETAG_RETRY_TIMEOUT", 0.5, raising=False)  # else 60
    if asked == "xet-read-token":
        if find_spec("hf_xet") is None:
            pytest.skip("without Xet nothing asks for its token")
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", False, raising=False)
        published.state.xet = True
    faults = published.faults
    faults.delay, faults.delay_in, faults.delay_after = SILENCE, asked, answered
    started = time.monotonic()
    refused(words, name=name)
    assert time.monotonic() - started < SILENCE
    assert any(asked in path for _, path, _ in published.requests)
