"""What a run starts from when nobody said."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm

from shamisa_cli.pretraining.checkpoint import newest_config
from shamisa_cli.pretraining.presets import resolve
from shamisa_cli.pretraining.start import resolve_start

REAL = timm.create_model
OPTIONS = {"backbone": "test_resnet"}


@pytest.fixture
def said() -> list[str]:
    return []


def imagenet(monkeypatch: pytest.MonkeyPatch, *, at_hand: bool) -> None:
    """Let timm have ImageNet's weights (any weights do), or no network."""

    def create(name: str, pretrained: bool = False, **rest: object) -> object:
        if pretrained and not at_hand:
            raise OSError("no network")
        return REAL(name, **rest)

    monkeypatch.setattr(timm, "create_model", create)


def test_imagenet_weights_take_the_published_recipe(
    monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    imagenet(monkeypatch, at_hand=True)
    config = resolve_start(None, None, OPTIONS, None, said.append)
    assert config == resolve("shamisa", options={**OPTIONS, "init": "imagenet"})
    assert said == []


def test_random_weights_take_the_recipe_for_them(
    monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    imagenet(monkeypatch, at_hand=False)
    config = resolve_start(None, None, OPTIONS, None, said.append)
    assert config == resolve("scratch", options=OPTIONS)
    assert [line.split(":")[0] for line in said] == [
        "starting from random weights",
        "preset scratch",
    ]
    asked = resolve_start(None, None, {**OPTIONS, "init": "random", "seed": 3}, None, said.append)
    assert asked == resolve("scratch", options={**OPTIONS, "seed": 3})


def test_a_preset_that_was_asked_for_stays(
    monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    imagenet(monkeypatch, at_hand=False)
    config = resolve_start("shamisa", None, OPTIONS, None, said.append)
    assert config == resolve("shamisa", options={**OPTIONS, "init": "random"})
    assert "--preset scratch" in said[-1]
    arniqa = resolve_start("arniqa", None, OPTIONS, None, said.append)
    assert list(arniqa.graphs.sources) == ["arniqa"]


def test_a_resumed_run_starts_as_it_did(monkeypatch: pytest.MonkeyPatch, said: list[str]) -> None:
    imagenet(monkeypatch, at_hand=True)
    config = resolve_start(None, None, OPTIONS, {"init": "random"}, said.append)
    assert config == resolve("scratch", options=OPTIONS)


def test_no_checkpoint_has_no_config(tmp_path: Path) -> None:
    assert newest_config(tmp_path) is None
