"""Models on this machine: listed by ``shamisa models``, and used with all sockets blocked."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hub_server import HubServer, run
from PIL import Image

from shamisa_cli.cli import app
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
    assert fast["backbone"] == "tf_efficientnet_lite0"
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
    local = [row for row in rows if rows[row]["where"] == "local"]
    assert local == [f"runs/{each}/model" for each in "abc"]
    assert rows["runs/a/model"]["note"] == ""
    assert "shamisa fit" in rows["runs/b/model"]["note"]
    assert "newer than this shamisa" in rows["runs/c/model"]["note"]
    assert "elsewhere" in listed("elsewhere")
    run("models", "nowhere", code=2)


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize(
    "command",
    [
        ["score", "PHOTO", "--model", "hf://me/tiny"],
        ["demo", "--model", "hf://me/tiny@v1"],
        ["probe", "--dataset", "CSV", "--model", "me/tiny"],
        ["pretrain", "--photos", "FOLDER", "--init", "hf://me/tiny"],
        ["push", "hf://me/tiny", "hf://me/other"],
    ],
)
def test_a_model_that_is_not_here_is_not_fetched(
    command: list[str], tmp_path: Path, block_network: Callable[[], None]
) -> None:
    block_network()
    for i in range(40):
        Image.new("RGB", (32, 32), (6 * i, 90, 10)).save(tmp_path / f"{i}.png")
    scores = "".join(f"{i}.png,{i}\n" for i in range(40))
    (tmp_path / "scores.csv").write_text(f"image,mos\n{scores}")
    places = {"PHOTO": tmp_path / "0.png", "CSV": tmp_path / "scores.csv", "FOLDER": tmp_path}
    result = CliRunner().invoke(app, [str(places.get(word, word)) for word in command])
    assert result.exit_code in (1, 2)
    assert "run: shamisa pull hf://me/tiny" in result.output


def test_a_model_that_is_here_needs_no_network(
    published: HubServer,
    sample_photos: list[Image.Image],
    tmp_path: Path,
    block_network: Callable[[], None],
) -> None:
    run("pull", "me/tiny")
    block_network()
    sample_photos[0].resize((64, 64)).save(tmp_path / "china.png")
    run("score", tmp_path / "china.png", "--model", "hf://me/tiny")
    assert "hf://me/tiny" in run("models").output


PUSHED_AND_PULLED = """
import sys
from shamisa_cli.cli import app
app(["push", sys.argv[1], "me/tiny"], standalone_mode=False)
app(["pull", "me/tiny"], standalone_mode=False)
"""


def test_the_environment_variables_of_the_client_are_what_counts(
    tiny_model: Path, tmp_path: Path
) -> None:
    """A process of its own: HF_ENDPOINT, HF_TOKEN and HF_HOME are read on import."""
    with HubServer() as server:
        server.state.tokens = {"hf_mine": ("me", True)}
        mine = {"HF_ENDPOINT": server.url, "HF_TOKEN": "hf_mine", "HF_HUB_DISABLE_XET": "1"}
        env = {**os.environ, **mine, "HF_HOME": str(tmp_path / "home")}
        asked = [sys.executable, "-c", PUSHED_AND_PULLED, str(tiny_model)]
        done = subprocess.run(asked, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        sent = server.state.repositories["model", "me/tiny"].files()
    folder = Path(done.stdout.splitlines()[-1])
    assert tmp_path / "home" in folder.parents
    assert {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()} == set(sent)
