"""Photos, tars of them, and ``shamisa score`` on these."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from PIL import Image
from shard_data import FIXED, IN_TAR, TARS, Inline, make_tars

from shamisa_cli.cli import app
from shamisa_cli.scoring import Scorer, load

Run = Callable[..., Result]


@pytest.fixture(scope="session")
def contents(sample_photos: list[Image.Image]) -> list[bytes]:
    """Small photos as JPEG, each another."""
    made = []
    for n in range(TARS * IN_TAR):
        left, top = 5 * (n % 50), 10 * (n // 50)
        file = io.BytesIO()
        sample_photos[n % 2].crop((left, top, left + 64 + n % 3, top + 48)).save(file, "JPEG")
        made.append(file.getvalue())
    return made


@pytest.fixture(scope="session")
def tars(tmp_path_factory: pytest.TempPathFactory, contents: list[bytes]) -> Path:
    """A folder of tars with these photos, and a damaged one at the end of the last."""
    shares = [contents[IN_TAR * n : IN_TAR * (n + 1)] for n in range(TARS)]
    shares[-1] = [*shares[-1], contents[0][:300]]
    folder = tmp_path_factory.mktemp("tars")
    make_tars(folder, shares)
    return folder


@pytest.fixture
def few(tmp_path: Path, contents: list[bytes], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder ``data`` with three tars of two photos; we stand beside it."""
    folder = tmp_path / "data"
    folder.mkdir()
    make_tars(folder, [contents[2 * n : 2 * n + 2] for n in range(3)])
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture(autouse=True)
def loaded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models are loaded once a session: loading is not what is tested here."""
    monkeypatch.setattr("shamisa_cli.scoring.load", _load)
    monkeypatch.setattr("shamisa_cli.sharding.run.load", _load)


@functools.cache
def _load(**options: Any) -> Scorer:
    return load(**options)


@pytest.fixture
def score(tiny_model: Path) -> Run:
    """Runs ``shamisa score`` with the small model, whole photos in fp32 on the CPU."""

    def run(*args: object) -> Result:
        model = [] if "--model" in args else ["--model", str(tiny_model)]
        return CliRunner().invoke(app, ["score", *FIXED, *model, *map(str, args)])

    return run


@pytest.fixture
def inline(monkeypatch: pytest.MonkeyPatch) -> Inline:
    """In place of any engine: works in this process, and remembers its tasks."""
    engine = Inline()
    monkeypatch.setattr("shamisa_cli.engines.registry.open_engine", lambda *_, **__: engine)
    return engine
