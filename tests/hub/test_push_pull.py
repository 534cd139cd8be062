"""Models to a Hub and back, by the real client: nothing is lost, nothing else travels."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result
from hub_server import HubServer
from PIL import Image

from shamisa_cli import load
from shamisa_cli.cli import app
from shamisa_cli.errors import WeightsError
from shamisa_cli.models.heads import load_head, save_head
from shamisa_cli.models.names import locate_model
from shamisa_cli.models.store import load_encoder, save_encoder

MODEL = "model.safetensors"
Run = Callable[..., Result]


@pytest.fixture
def run() -> Run:
    return lambda *args: CliRunner().invoke(app, [str(arg) for arg in args])


@pytest.fixture
def folder(tiny_model: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model, whose head has figures."""
    copy = tmp_path / "my-model"
    shutil.copytree(tiny_model, copy)
    head = load_head(copy, "toy")
    info = dataclasses.replace(head.info, dataset="clive", metrics={"srcc": 0.51234, "krcc": 0.4})
    save_head(copy, dataclasses.replace(head, info=info))
    return copy


@pytest.fixture
def few_scores(tmp_path: Path) -> Path:
    """A dataset of forty small pictures."""
    for i in range(40):
        Image.new("RGB", (32, 32), (6 * i, 90, 10)).save(tmp_path / f"{i}.png")
    table = tmp_path / "scores.csv"
    table.write_text("image,mos\n" + "".join(f"{i}.png,{i}\n" for i in range(40)))
    return table


def test_a_pushed_model_scores_the_same_from_a_fresh_cache(
    hub: HubServer, folder: Path, run: Run, sample_photos: list[Image.Image]
) -> None:
    pushed = run("push", folder, "hf://me/tiny", "-m", "first")
    assert pushed.exit_code == 0, pushed.output
    assert f"{hub.url}/me/tiny" in pushed.output
    assert hub.state.repositories["model", "me/tiny"].messages[-1] == "first"

    pulled = run("pull", "hf://me/tiny")
    assert pulled.exit_code == 0, pulled.output
    assert Path(pulled.stdout.strip()) == locate_model("hf://me/tiny") == locate_model("me/tiny")
    here, there = load(folder), load("hf://me/tiny")
    assert there.model == here.model
    for photo in sample_photos:
        assert there.score(photo) == here.score(photo)


def test_large_models_travel_in_shards_and_replace_each_other(
    hub: HubServer, folder: Path, run: Run, sample_photos: list[Image.Image]
) -> None:
    encoder, config = load_encoder(folder)
    score = load(folder).score(sample_photos[0])
    save_encoder(folder, encoder, config, shard_size="300KB")
    assert run("push", folder, "me/tiny").exit_code == 0
    names = set(hub.state.repositories["model", "me/tiny"].files())
    assert len([name for name in names if name.startswith("model-0000")]) >= 2
    assert run("pull", "me/tiny").exit_code == 0
    assert load("hf://me/tiny").score(sample_photos[0]) == score

    save_encoder(folder, encoder, config)
    assert run("push", folder, "me/tiny").exit_code == 0
    files = hub.state.repositories["model", "me/tiny"].files()
    assert [name for name in files if name.startswith("model")] == [MODEL]


def test_what_has_not_changed_is_not_sent_again_and_what_is_gone_goes(
    hub: HubServer, folder: Path, run: Run
) -> None:
    head = load_head(folder, "toy")
    save_head(folder, dataclasses.replace(head, info=dataclasses.replace(head.info, name="b")))
    assert run("push", folder, "me/tiny").exit_code == 0
    repository = hub.state.repositories["model", "me/tiny"]
    commits = len(repository.commits)
    assert run("push", folder, "me/tiny").exit_code == 0
    assert len(repository.commits) == commits
    assert {"heads/b.json", "heads/b.safetensors"} <= set(repository.files())
    for end in (".json", ".safetensors"):
        (folder / "heads" / f"b{end}").unlink()
    assert run("push", folder, "me/tiny").exit_code == 0
    assert not any(name.startswith("heads/b") for name in repository.files())
    assert [method for method, _, _ in hub.requests].count("PUT") == 3


def test_only_the_model_travels(hub: HubServer, folder: Path, run: Run) -> None:
    (folder / "train.log").write_text("private")
    (folder / "optimizer.pt").write_bytes(b"\x80\x04.")
    assert run("push", folder, "me/tiny").exit_code == 0
    repository = hub.state.repositories["model", "me/tiny"]
    ours = {"config.json", MODEL, "heads/toy.json", "heads/toy.safetensors", "README.md"}
    assert set(repository.files()) == ours
    others = {"train.py": b"import os", "pytorch_model.bin": b"\x80\x04.", "heads/x.pt": b"."}
    hub.state.add("me/tiny", {**repository.files(), **others})
    assert run("pull", "me/tiny").exit_code == 0
    found = locate_model("me/tiny")
    assert {str(p.relative_to(found)) for p in found.rglob("*") if p.is_file()} == ours


def test_private_repositories(
    hub: HubServer, folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("push", folder, "me/secret", "--private").exit_code == 0
    assert hub.state.repositories["model", "me/secret"].private
    assert run("pull", "me/secret").exit_code == 0
    for token, message in (("hf_reader", "token is right"), ("", "if me/secret is private, set")):
        monkeypatch.setenv("HF_TOKEN", token)
        refused = run("pull", "me/secret")
        assert refused.exit_code == 1
        assert message in refused.output
        assert "HF_TOKEN" in refused.output


def test_a_card_with_a_byte_order_mark_is_one(hub: HubServer, folder: Path, run: Run) -> None:
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# Mine\n", encoding="utf-8-sig")
    assert run("push", folder, "me/tiny").exit_code == 0
    card = hub.state.repositories["model", "me/tiny"].files()["README.md"].decode()
    assert "license: mit" in card
    assert card.count("---") == 2


def test_links_that_will_lead_nowhere_are_told(hub: HubServer, folder: Path, run: Run) -> None:
    (folder / "README.md").write_text("# Mine\n[map](map.png) [config](config.json)\n")
    pushed = run("push", folder, "me/tiny")
    assert pushed.exit_code == 0
    assert "lead nowhere: map.png\n" in pushed.stderr
    hub.state.add("me/tiny", {"map.png": b"beside it already"})
    assert "lead nowhere" not in run("push", folder, "me/tiny").stderr


def test_pictures_of_the_card_travel_and_nothing_outside_the_folder(
    hub: HubServer, folder: Path, run: Run
) -> None:
    (folder / "pictures").mkdir()
    Image.new("RGB", (8, 8)).save(folder / "pictures" / "a b.png")
    Image.new("RGB", (8, 8)).save(folder / "unused.png")
    Image.new("RGB", (8, 8)).save(folder.parent / "private.png")
    shown = "![a](./pictures/a%20b.png) ![no](../private.png) [log](train.log)"
    (folder / "README.md").write_text(f"# Mine\n{shown}\n")
    (folder / "train.log").write_text("private")
    pushed = run("push", folder, "me/tiny")
    assert pushed.exit_code == 0, pushed.output
    files = hub.state.repositories["model", "me/tiny"].files()
    assert files["pictures/a b.png"] == (folder / "pictures" / "a b.png").read_bytes()
    assert not {"unused.png", "train.log"} & set(files)
    assert not any("private" in name for name in files)
    assert "lead nowhere: ../private.png, train.log\n" in pushed.stderr


def test_a_card_of_the_repository_that_cannot_be_read(
    hub: HubServer, folder: Path, run: Run
) -> None:
    hub.state.add("me/tiny", {"README.md": b"Caf\xe9"})
    refused = run("push", folder, "me/tiny")
    assert refused.exit_code == 1
    assert "hf://me/tiny: its README.md cannot be read as UTF-8" in refused.output


def test_no_room_to_put_the_model_together(
    hub: HubServer,
    folder: Path,
    run: Run,
    no_file_over: Callable[[int], AbstractContextManager[None]],
) -> None:
    with no_file_over(20_000):
        refused = run("push", folder, "me/tiny")
    assert refused.exit_code == 1
    assert "let TMPDIR be a folder with room" in refused.output
    assert MODEL not in hub.state.repositories["model", "me/tiny"].files()


def test_nothing_is_sent_to_a_public_repository_that_was_to_be_private(
    hub: HubServer, folder: Path, run: Run
) -> None:
    hub.state.add("me/tiny", {"notes.txt": b"x"})
    refused = run("push", folder, "me/tiny", "--private")
    assert refused.exit_code == 1
    assert "and public" in refused.output
    assert set(hub.state.repositories["model", "me/tiny"].files()) == {"notes.txt"}


def test_a_pull_request_leaves_the_branch_alone(hub: HubServer, folder: Path, run: Run) -> None:
    hub.state.add("other/tiny", {"notes.txt": b"x"})
    asked = run("push", folder, "other/tiny", "--create-pr")
    assert asked.exit_code == 0, asked.output
    assert asked.stdout.strip() == f"{hub.url}/other/tiny/discussions/1"
    repository = hub.state.repositories["model", "other/tiny"]
    assert set(repository.files()) == {"notes.txt"}
    assert MODEL in repository.files("refs/pr/1")
    assert run("push", folder, "other/tiny@dev", "--create-pr").exit_code == 2


@pytest.mark.parametrize("damage", ["weights", "head", "default", "card", "latin"])
def test_a_model_that_is_not_whole_is_not_sent(
    hub: HubServer, folder: Path, run: Run, damage: str
) -> None:
    config = json.loads((folder / "config.json").read_text())
    if damage == "weights":
        (folder / MODEL).write_bytes((folder / MODEL).read_bytes()[:-1] + b"\x01")
    elif damage == "head":
        (folder / "heads" / "toy.safetensors").unlink()
    elif damage == "default":
        (folder / "config.json").write_text(json.dumps({**config, "default_head": "gone"}))
    elif damage == "latin":
        (folder / "README.md").write_bytes(b"Caf\xe9")
    else:
        (folder / "README.md").write_text("---\nlicense: [\n---\n# Mine\n")
    refused = run("push", folder, "me/tiny")
    assert refused.exit_code == (1 if damage in ("card", "latin") else 2)
    assert "Traceback" not in refused.output
    assert {
        "weights": "sha256",
        "head": "toy",
        "default": "gone",
        "card": "metadata",
        "latin": "UTF-8",
    }[damage] in refused.output
    assert hub.requests == []


def test_pushing_needs_a_token_that_may_write(
    hub: HubServer, folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for token, message in (
        ("", "to push, set HF_TOKEN"),
        ("hf_wrong", "access refused"),
        ("hf_reader", "the token needs write access to the repositories of me"),
    ):
        monkeypatch.setenv("HF_TOKEN", token)
        refused = run("push", folder, "me/tiny")
        assert refused.exit_code == 1
        assert message in refused.output
        assert "hf://me/tiny" in refused.output
    assert hub.state.repositories == {}


def test_a_pulled_model_is_not_written_to(
    hub: HubServer, folder: Path, run: Run, few_scores: Path
) -> None:
    assert run("push", folder, "me/tiny").exit_code == 0
    assert run("pull", "me/tiny").exit_code == 0
    found = locate_model("me/tiny")
    whole = (found / "heads" / "toy.safetensors").read_bytes()
    with pytest.raises(WeightsError, match="cp -rL"):
        save_head(found, load_head(folder, "toy"))
    probed = run("fit", few_scores, "--model", "me/tiny", "--name", "toy")
    assert probed.exit_code == 2
    assert "cp -rL" in probed.output
    assert (found / "heads" / "toy.safetensors").read_bytes() == whole


def test_revisions(hub: HubServer, folder: Path, run: Run) -> None:
    assert run("push", folder, "me/tiny").exit_code == 0
    repository = hub.state.repositories["model", "me/tiny"]
    repository.tags["v1.0"] = first = repository.refs["main"]
    encoder, config = load_encoder(folder)
    with torch.no_grad():
        next(encoder.parameters()).add_(1)
    save_encoder(folder, encoder, config)
    assert run("push", folder, "me/tiny").exit_code == 0
    for revision in ("v1.0", first):
        assert run("pull", f"me/tiny@{revision}").exit_code == 0
        assert locate_model(f"me/tiny@{revision}").name == first
    assert run("pull", "me/tiny").exit_code == 0
    assert locate_model("me/tiny").name == repository.refs["main"] != first
    wrong = run("pull", "me/tiny@v1.1")
    assert wrong.exit_code == 1
    assert "no revision 'v1.1'. Did you mean v1.0?" in wrong.output


def test_pickles_are_refused_before_anything_is_fetched(hub: HubServer, run: Run) -> None:
    hub.state.add("me/old", {"config.json": b"{}", "pytorch_model.bin": b"\x80\x04."})
    refused = run("pull", "hf://me/old")
    assert refused.exit_code == 1
    assert "only as pickles (pytorch_model.bin)" in refused.output
    assert not any("resolve" in path for _, path, _ in hub.requests)
    hub.state.add("me/none", {"README.md": b"# Hello"})
    assert "holds no model" in run("pull", "hf://me/none").output


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"format": 99}, "pip install -U shamisa"),
        ({"model_type": "bert"}, "unknown key"),
        ({"name": "x", "backbone": "resnet5O", "feature_size": 8}, "resnet50"),
        ({"architecture": "resnet5O"}, "resnet50"),
        ({"architecture": ["resnet50"]}, "expected a name"),
        ([], "JSON object"),
    ],
)
def test_a_config_that_we_cannot_use_is_told_before_the_weights_are_fetched(
    hub: HubServer, run: Run, config: object, message: str
) -> None:
    hub.state.add("me/odd", {"config.json": json.dumps(config).encode(), MODEL: b"0" * 1000})
    refused = run("pull", "hf://me/odd")
    assert refused.exit_code == 1
    assert "Error: hf://me/odd: " in refused.output
    assert message in refused.output
    assert "/config.json" not in refused.output
    assert not any(path.startswith("/cdn") for _, path, _ in hub.requests)
