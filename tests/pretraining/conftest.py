"""Runs without their pictures: drawing takes longer than a run of a few steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from shamisa_cli.pretraining import run

DRAW: Callable[..., Any] = run.plot_run


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """The curves of a run are not drawn at its end."""
    monkeypatch.setattr(run, "plot_run", lambda *_: ["not drawn"])


@pytest.fixture
def pictures(no_pictures: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are, for a test that asks for them."""
    monkeypatch.setattr(run, "plot_run", DRAW)
