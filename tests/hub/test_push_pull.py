"""Models to a Hub and back, by the real client: nothing is lost, nothing else travels."""

from __future__ import annotations

import dataclasses
import importlib
import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import torch
from hub_server import HubServer, run
from PIL import Image

from shamisa_cli import load
from shamisa_cli.errors import WeightsError
from shamisa_cli.models.heads import load_head, save_head
from shamisa_cli.models.names import locate_model
from shamisa_cli.models.store import encoder_digest, load_encoder, save_encoder

MODEL = "model.safetensors"


def files(hub: HubServer, name: str = "me/tiny", branch: str = "main") -> dict[str, bytes]:
    return hub.state.repositories["model", name].files(branch)


def test_a_pushed_model_scores_the_same_from_a_fresh_cache(
    hub: HubServer, folder: Path, sample_photos: list[Image.Image]
) -> None:
    pushed = run("push", folder, "hf://me/tiny", "-m", "first")
    assert f"{hub.url}/me/tiny" in pushed.output
    assert hub.state.repositories["model", "me/tiny"].messages[-1] == "first"

    pulled = run("pull", "hf://me/tiny")
    found = locate_model("hf://me/tiny")
    assert Path(pulled.stdout.strip()) == found == locate_model("me/tiny")
    here, there = load(folder), load("hf://me/tiny")
    assert there.model == here.model
    for photo in sample_photos:
        assert there.score(photo) == here.score(photo)

    whole = (found / "heads" / "toy.safetensors").read_bytes()
    with pytest.raises(WeightsError, match="cp -rL"):  # the cache is not to be written to
        save_head(found, load_head(folder, "toy"))
    assert (found / "heads" / "toy.safetensors").read_bytes() == whole


def test_what_has_not_changed_is_not_sent_again_and_what_is_gone_goes(
    hub: HubServer, folder: Path
) -> None:
    head = load_head(folder, "toy")
    save_head(folder, dataclasses.replace(head, info=dataclasses.replace(head.info, name="b")))
    run("push", folder, "me/tiny")
    repository = hub.state.repositories["model", "me/tiny"]
    commits = len(repository.commits)
    run("push", folder, "me/tiny")
    assert len(repository.commits) == commits
    assert {"heads/b.json", "heads/b.safetensors"} <= set(repository.files())
    for end in (".json", ".safetensors"):
        (folder / "heads" / f"b{end}").unlink()
    run("push", folder, "me/tiny")
    assert not any(name.startswith("heads/b") for name in repository.files())


def test_the_users_heads_travel_with_a_bundled_model(
    hub: HubServer, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    importlib.import_module("shamisa_cli.models.listing")  # else it would keep the patch
    monkeypatch.setattr("shamisa_cli.models.names.bundled_folder", lambda: folder.parent)
    monkeypatch.setattr("shamisa_cli.models.heads.user_folder", lambda: tmp_path / "user")
    head, (_, config) = load_head(folder, "toy"), load_encoder(folder)
    info = dataclasses.replace(head.info, name="own", encoder=encoder_digest(folder, config))
    kept = save_head(folder, dataclasses.replace(head, info=info))
    assert tmp_path / "user" in kept.parents
    run("push", folder, "me/tiny")
    assert files(hub)["heads/own.json"] == kept.read_bytes()
    assert "heads/toy.json" in files(hub)


def test_only_the_model_travels(hub: HubServer, folder: Path) -> None:
    (folder / "train.log").write_text("private")
    (folder / "optimizer.pt").write_bytes(b"\x80\x04.")
    run("push", folder, "me/tiny")
    ours = {"config.json", MODEL, "heads/toy.json", "heads/toy.safetensors", "README.md"}
    assert set(files(hub)) == ours
    others = {"train.py": b"import os", "pytorch_model.bin": b"\x80\x04.", "heads/x.pt": b"."}
    hub.state.add("me/tiny", {**files(hub), **others})
    run("pull", "me/tiny")
    found = locate_model("me/tiny")
    assert {str(p.relative_to(found)) for p in found.rglob("*") if p.is_file()} == ours


def test_private_repositories(hub: HubServer, folder: Path) -> None:
    run("push", folder, "me/secret", "--private")
    assert hub.state.repositories["model", "me/secret"].private
    run("pull", "me/secret")
    hub.state.add("me/tiny", {"notes.txt": b"x"})
    assert "is public" in run("push", folder, "me/tiny", "--private", code=1).output
    assert set(files(hub)) == {"notes.txt"}


def test_the_card_goes_with_its_pictures_and_nothing_outside_the_folder(
    hub: HubServer, folder: Path
) -> None:
    (folder / "pictures").mkdir()
    for path in ("pictures/a b.png", "unused.png", "../private.png"):
        Image.new("RGB", (8, 8)).save(folder / path)
    links = "![a](./pictures/a%20b.png) ![no](../private.png) [log](train.log) [c](config.json)"
    card = f"---\nlicense: mit\n---\n# Mine\n{links}\n"
    (folder / "README.md").write_text(card, encoding="utf-8-sig")
    (folder / "train.log").write_text("private")
    assert "on the Hub: ../private.png, train.log\n" in run("push", folder, "me/tiny").stderr
    sent = files(hub)
    assert sent["pictures/a b.png"] == (folder / "pictures" / "a b.png").read_bytes()
    assert not {"unused.png", "train.log"} & set(sent)
    assert not any("private" in name for name in sent)
    assert "license: mit" in sent["README.md"].decode()
    assert sent["README.md"].decode().count("---") == 2
    hub.state.add("me/tiny", {"train.log": b"beside it already"})
    assert "on the Hub: ../private.png\n" in run("push", folder, "me/tiny").stderr


def test_a_card_of_the_repository_that_cannot_be_read(hub: HubServer, folder: Path) -> None:
    hub.state.add("me/tiny", {"README.md": b"Caf\xe9"})
    refused = run("push", folder, "me/tiny", code=1)
    assert "hf://me/tiny: its README.md cannot be read as UTF-8" in refused.output


def test_no_room_to_put_the_model_together(
    hub: HubServer, folder: Path, no_file_over: Callable[[int], AbstractContextManager[None]]
) -> None:
    with no_file_over(20_000):
        refused = run("push", folder, "me/tiny", code=1)
    assert "set TMPDIR to a folder with room" in refused.output
    assert MODEL not in files(hub)


def test_a_pull_request_leaves_the_branch_alone(hub: HubServer, folder: Path) -> None:
    hub.state.add("other/tiny", {"notes.txt": b"x"})
    asked = run("push", folder, "other/tiny", "--create-pr")
    assert asked.stdout.strip() == f"{hub.url}/other/tiny/discussions/1"
    assert set(files(hub, "other/tiny")) == {"notes.txt"}
    assert MODEL in files(hub, "other/tiny", "refs/pr/1")
    run("push", folder, "other/tiny@dev", "--create-pr", code=2)


@pytest.mark.parametrize(
    ("damage", "words", "code"),
    [
        ("weights", "sha256", 2),
        ("head", "toy", 2),
        ("default", "gone", 2),
        ("card", "metadata", 1),
        ("latin", "UTF-8", 1),
    ],
)
def test_a_model_that_is_not_whole_is_not_sent(
    hub: HubServer, folder: Path, damage: str, words: str, code: int
) -> None:
    config = json.loads((folder / "config.json").read_text()) | {"default_head": "gone"}
    damaged = {
        "weights": (MODEL, (folder / MODEL).read_bytes()[:-1] + b"\x01"),
        "head": ("heads/toy.safetensors", b""),
        "default": ("config.json", json.dumps(config).encode()),
        "card": ("README.md", b"---\nlicense: [\n---\n# Mine\n"),
        "latin": ("README.md", b"Caf\xe9"),
    }
    file, content = damaged[damage]
    (folder / file).write_bytes(content)
    assert words in run("push", folder, "me/tiny", code=code).output
    assert hub.requests == []


@pytest.mark.parametrize(
    ("token", "words"),
    [
        ("", "to push, set HF_TOKEN"),
        ("hf_wrong", "access refused"),
        ("hf_reader", "the token needs write access to the repositories of me"),
    ],
)
def test_pushing_needs_a_token_that_may_write(
    hub: HubServer, folder: Path, monkeypatch: pytest.MonkeyPatch, token: str, words: str
) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    refused = run("push", folder, "me/tiny", code=1)
    assert words in refused.output
    assert "hf://me/tiny" in refused.output
    assert hub.state.repositories == {}


def test_revisions(hub: HubServer, folder: Path) -> None:
    run("push", folder, "me/tiny")
    repository = hub.state.repositories["model", "me/tiny"]
    repository.tags["v1.0"] = first = repository.refs["main"]
    encoder, config = load_encoder(folder)
    with torch.no_grad():
        next(encoder.parameters()).add_(1)
    save_encoder(folder, encoder, config)
    run("push", folder, "me/tiny")
    for revision in ("v1.0", first):
        run("pull", f"me/tiny@{revision}")
        assert locate_model(f"me/tiny@{revision}").name == first
    run("pull", "me/tiny")
    assert locate_model("me/tiny").name == repository.refs["main"] != first
    wrong = run("pull", "me/tiny@v1.1", code=1)
    assert "unknown revision 'v1.1'. Did you mean v1.0?" in wrong.output


def test_pickles_are_refused_before_anything_is_fetched(hub: HubServer) -> None:
    hub.state.add("me/old", {"config.json": b"{}", "pytorch_model.bin": b"\x80\x04."})
    assert "only as pickles (pytorch_model.bin)" in run("pull", "hf://me/old", code=1).output
    hub.state.add("me/none", {"README.md": b"# Hello"})
    assert "there is no model.safetensors" in run("pull", "hf://me/none", code=1).output
    hub.state.add("me/bare", {MODEL: b"0"})
    assert "there is no config.json" in run("pull", "hf://me/bare", code=1).output
    assert not any("resolve" in path for _, path, _ in hub.requests)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"format": 99}, "pip install -U shamisa"),
        ({"model_type": "bert"}, "unknown key"),
        ({"name": "x", "backbone": "resnet5O", "feature_size": 8}, "resnet50"),
        ({"architecture": "resnet5O"}, "resnet50"),
        ({"architecture": ["resnet50"]}, "expected a name"),
        ({"architecture": "hf-hub:evil/pickle"}, "unknown backbone 'hf-hub:evil/pickle'"),
        ({"architecture": "local-dir:/tmp"}, "unknown backbone 'local-dir:/tmp'"),
        ([], "JSON object"),
    ],
)
def test_a_config_that_we_cannot_use_is_told_before_the_weights_are_fetched(
    hub: HubServer, config: object, message: str
) -> None:
    hub.state.add("me/odd", {"config.json": json.dumps(config).encode(), MODEL: b"0" * 1000})
    refused = run("pull", "hf://me/odd", code=1)
    assert "Error: hf://me/odd: " in refused.output
    assert message in refused.output
    assert "/config.json" not in refused.output
    assert not any(path.startswith("/cdn") or "evil" in path for _, path, _ in hub.requests)
