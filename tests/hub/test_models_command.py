"""``shamisa models``: bundled, cached and local models, with what is known of each."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hub_server import HubServer, run
from huggingface_hub import constants

from shamisa_cli.hub.names import cache_folder
from shamisa_cli.models.names import bundled_models, locate_model


def listed(*args: str) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in json.loads(run("models", "--json", *args).stdout)}


@pytest.mark.usefixtures("hub")
def test_bundled_models_are_there_with_their_figures(tmp_path: Path) -> None:
    rows = listed(str(tmp_path))
    assert list(rows) == bundled_models()
    fast = rows["fast"]
    assert fast["where"] == "bundled"
    assert fast["default_head"] == "mixed"
    assert fast["backbone"] == "mobilenetv4_conv_small"
    size = sum(p.stat().st_size for p in locate_model("fast").rglob("*") if p.is_file())
    assert fast["size"] == size
    stored = json.loads((locate_model("fast") / "heads" / "mixed.json").read_text())
    heads = {head["name"]: head for head in fast["heads"]}
    assert heads["mixed"]["metrics"] == stored["metrics"]
    table = run("models").stdout
    assert f"head mixed (default): clive, 650 images; srcc {stored['metrics']['srcc']:.3f}" in table


def test_cached_models_by_the_names_that_find_them(published: HubServer) -> None:
    repository = published.state.repositories["model", "me/tiny"]
    repository.tags["v1"] = commit = repository.refs["main"]
    for name in ("me/tiny", "me/tiny@v1"):
        run("pull", name)
    other = cache_folder() / "models--me--other" / "snapshots" / (40 * "a")
    other.mkdir(parents=True)
    (other / "config.json").write_text('{"model_type": "bert"}')
    cached = {name: row for name, row in listed().items() if row["where"] == "cached"}
    assert list(cached) == ["hf://me/tiny", "hf://me/tiny@v1"]
    for name, row in cached.items():
        assert Path(row["folder"]) == locate_model(name)
        assert row["heads"][0]["name"] == "toy"
        assert Path(row["folder"]).name == commit


@pytest.mark.usefixtures("hub")
def test_a_cache_that_is_no_folder_has_no_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "file"))
    assert list(listed(str(tmp_path))) == bundled_models()


@pytest.mark.usefixtures("hub")
def test_local_models_below_a_folder(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("runs/a/model", "runs/b/model", "runs/c/model", "elsewhere"):
        shutil.copytree(tiny_model, tmp_path / name)
    (tmp_path / "runs/a/config.json").write_text('{"backbone": "test_resnet", "steps": 3}')
    shutil.rmtree(tmp_path / "runs/b/model/heads")
    newer = json.loads((tmp_path / "runs/c/model/config.json").read_text()) | {"format": 99}
    (tmp_path / "runs/c/model/config.json").write_text(json.dumps(newer))
    monkeypatch.chdir(tmp_path)
    rows = listed()
    assert [row for row in rows if rows[row]["where"] == "local"] == [
        "runs/a/model",
        "runs/b/model",
        "runs/c/model",
    ]
    assert rows["runs/a/model"]["note"] == ""
    assert "shamisa fit" in rows["runs/b/model"]["note"]
    assert "newer than this shamisa" in rows["runs/c/model"]["note"]
    assert "elsewhere" in listed("elsewhere")
    run("models", "nowhere", code=2)
