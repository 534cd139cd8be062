"""Excel files are read by an extra, and a person without it is told which."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from shamisa_cli.cli import app
from shamisa_cli.datasets.spaq import SCORES


def test_spaq_without_openpyxl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tmp_path / "spaq" / SCORES
    table.parent.mkdir(parents=True)
    table.write_bytes(b"")
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    result = CliRunner().invoke(app, ["probe", "--dataset", "spaq", "--root", str(tmp_path)])
    assert result.exit_code == 2
    assert "pip install 'shamisa[datasets]'" in result.output
