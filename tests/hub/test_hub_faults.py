"""What goes wrong on the way: one message that a person can act on, and never half a model."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hub_server import HubServer
from huggingface_hub import constants

from shamisa_cli.cli import app
from shamisa_cli.errors import WeightsError
from shamisa_cli.models.names import locate_model
from shamisa_cli.models.store import load_encoder

NAME = "hf://me/tiny"


def pull(name: str = NAME) -> Result:
    return CliRunner().invoke(app, ["pull", name])


@pytest.fixture
def published(hub: HubServer, tiny_model: Path) -> HubServer:
    """The tiny model on the Hub; waiting between attempts takes no time."""
    paths = [path for path in tiny_model.rglob("*") if path.is_file()]
    hub.state.add("me/tiny", {str(p.relative_to(tiny_model)): p.read_bytes() for p in paths})
    return hub


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)


def refused(result: Result, *words: str) -> None:
    """One plain message that names the repository and the mend, and no model to be found."""
    assert result.exit_code == 1, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.output
    for word in (NAME, *words):
        assert word in result.output
    with pytest.raises(WeightsError, match=f"run: shamisa pull {NAME}"):
        locate_model(NAME)


@pytest.mark.usefixtures("hurry")
def test_a_connection_that_is_cut_goes_on_where_it_was(
    published: HubServer, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1000)  # 10 MB; whole chunks are kept
    published.faults.cuts, published.faults.cut_after = 2, 7000
    runs = 1
    while pull().exit_code != 0:  # clients before 2 leave the second attempt to the next run
        runs += 1
        assert runs <= 3
    assert "bytes=7000-" in published.ranges()
    found = locate_model(NAME)
    for file in ("model.safetensors", "heads/toy.safetensors", "config.json"):
        assert (found / file).read_bytes() == (tiny_model / file).read_bytes()


@pytest.mark.usefixtures("hurry")
def test_a_connection_that_is_cut_for_good_leaves_no_half_model(published: HubServer) -> None:
    published.faults.cuts, published.faults.cut_after = 1000, 0
    refused(pull(), "cut off", "run the command again")
    published.faults.cuts = 0
    assert pull().exit_code == 0
    load_encoder(locate_model(NAME))


def test_a_new_version_that_could_not_be_fetched_leaves_the_old_one_in_use(
    published: HubServer, hurry: None
) -> None:
    assert pull().exit_code == 0
    before = locate_model(NAME)
    files = published.state.repositories["model", "me/tiny"].files()
    changed = {**files, "model.safetensors": files["model.safetensors"] + b"\0"}
    published.state.add("me/tiny", changed)
    published.faults.cuts = 1000
    assert pull().exit_code == 1
    assert locate_model(NAME) == before
    load_encoder(before)


def test_a_file_that_arrives_damaged_is_removed(published: HubServer) -> None:
    published.faults.spoil = True
    refused(pull(), "arrived damaged")
    published.faults.spoil = False
    assert pull().exit_code == 0
    load_encoder(locate_model(NAME))


@pytest.mark.parametrize(
    ("token", "words"),
    [
        ("hf_expired", "access refused"),
        ("", "no such repository, or a private"),
        ("hf_é", "letters that no token has"),
    ],
)
def test_a_token_that_is_refused_or_missing(
    published: HubServer, monkeypatch: pytest.MonkeyPatch, token: str, words: str
) -> None:
    published.state.repositories["model", "me/tiny"].private = True
    monkeypatch.setenv("HF_TOKEN", token)
    refused(pull(), words, "set HF_TOKEN, or run: hf auth login")


def test_a_gated_repository(published: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    published.state.repositories["model", "me/tiny"].gated = True
    monkeypatch.setenv("HF_TOKEN", "")
    refused(pull(), "gated", f"ask for access at {published.url}/me/tiny", "set HF_TOKEN")


def test_a_repository_that_is_not_there(hub: HubServer) -> None:
    refused(pull(), "no such repository", "check the name")


@pytest.mark.parametrize(("status", "words"), [(503, "try again later"), (429, "some minutes")])
def test_a_hub_that_has_trouble(published: HubServer, status: int, words: str) -> None:
    published.faults.status = status
    refused(pull(), words)


def test_a_hub_that_does_not_answer(published: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_ETAG_TIMEOUT", 0.1)
    published.faults.delay = 0.5
    refused(pull(), "did not answer in time")


def test_no_network(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setattr(constants, "ENDPOINT", nobody)
    refused(pull(), f"{nobody} cannot be reached", "check the network")


def test_offline_mode_is_honoured(published: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    refused(pull(), "HF_HUB_OFFLINE")
    assert published.requests == []
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    assert pull().exit_code == 0
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    again = pull()
    assert again.exit_code == 1
    assert f"of use: {locate_model(NAME)}" in again.output


def test_a_full_disk(
    published: HubServer, no_file_over: Callable[[int], AbstractContextManager[None]]
) -> None:
    with no_file_over(20_000):
        result = pull()
    refused(result, "no room on the disk", "HF_HOME")
    assert pull().exit_code == 0


def test_a_cache_that_may_not_be_written(
    published: HubServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "file" / "hub"))
    refused(pull(), str(tmp_path / "file"))
