"""A Hub of the test's own, and the real client pointed at it, with a cache of the test's own."""

from __future__ import annotations

import dataclasses
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from hub_server import HubServer
from huggingface_hub import constants, file_download
from huggingface_hub.utils import disable_progress_bars, enable_progress_bars

from shamisa_cli.models.heads import load_head, save_head


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubServer]:
    """The client reads HF_ENDPOINT and its kin once, on import; so its constants are set here."""
    with HubServer() as server:
        server.state.tokens = {"hf_of_me": ("me", True), "hf_reader": ("reader", False)}
        address = server.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address)
        monkeypatch.setattr(file_download, "HUGGINGFACE_CO_URL_TEMPLATE", address, raising=False)
        monkeypatch.setattr(constants, "HF_HOME", str(tmp_path / "hf"))
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf" / "hub"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "hf" / "token"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        # The server speaks LFS, not Xet; clients before Xet have no such switch.
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True, raising=False)
        monkeypatch.setenv("HF_TOKEN", "hf_of_me")
        disable_progress_bars()
        yield server
        enable_progress_bars()


@pytest.fixture
def folder(tiny_model: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model, whose head has figures."""
    copy = tmp_path / "my-model"
    shutil.copytree(tiny_model, copy)
    head = load_head(copy, "toy")
    info = dataclasses.replace(head.info, dataset="clive", metrics={"srcc": 0.51234, "krcc": 0.4})
    save_head(copy, dataclasses.replace(head, info=info), overwrite=True)
    return copy


@pytest.fixture
def published(hub: HubServer, tiny_model: Path) -> HubServer:
    """A Hub that has the tiny model as me/tiny."""
    paths = [path for path in tiny_model.rglob("*") if path.is_file()]
    hub.state.add("me/tiny", {str(p.relative_to(tiny_model)): p.read_bytes() for p in paths})
    return hub


@pytest.fixture
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between its attempts the client does not wait."""
    monkeypatch.setattr(time, "sleep", lambda seconds: None)


@pytest.fixture
def block_network(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From its call on, no socket connects anywhere."""

    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("the network was asked")

    def block() -> None:
        for name in ("connect", "connect_ex", "sendto"):
            monkeypatch.setattr(socket.socket, name, refuse)
        monkeypatch.setattr(socket, "getaddrinfo", refuse)

    return block
