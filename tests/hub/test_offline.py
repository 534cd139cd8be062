"""With sockets blocked, all but pull, push and their kin work, or say what to pull."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from hub_server import HubServer, run
from PIL import Image

from shamisa_cli.cli import app


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


def test_the_environment_variables_of_the_client_are_what_counts(
    tiny_model: Path, tmp_path: Path
) -> None:
    """A process of its own: HF_ENDPOINT, HF_TOKEN and HF_HOME are read on import."""
    with HubServer() as server:
        server.state.tokens = {"hf_mine": ("me", True)}
        mine = {"HF_ENDPOINT": server.url, "HF_TOKEN": "hf_mine", "HF_HUB_DISABLE_XET": "1"}
        env = {**os.environ, **mine, "HF_HOME": str(tmp_path / "home")}
        for command in (["push", str(tiny_model), "me/tiny"], ["pull", "me/tiny"]):
            asked = [sys.executable, "-m", "shamisa_cli", *command]
            done = subprocess.run(asked, env=env, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
        sent = server.state.repositories["model", "me/tiny"].files()
    folder = Path(done.stdout.strip())
    assert tmp_path / "home" in folder.parents
    assert {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()} == set(sent)
