"""What a run starts from when nobody said."""

from __future__ import annotations

from pathlib import Path

import pytest

from shamisa_cli.errors import UsageError, WeightsError
from shamisa_cli.pretraining import start
from shamisa_cli.pretraining.presets import resolve
from shamisa_cli.pretraining.start import resolve_start
from shamisa_cli.training.checkpoint import newest_config

OPTIONS = {"backbone": "test_resnet"}


@pytest.fixture
def said() -> list[str]:
    return []


def imagenet(monkeypatch: pytest.MonkeyPatch, *, at_hand: bool) -> None:
    """Have timm's weights in the cache, or not."""

    def folder(backbone: str, *, fetch: bool) -> Path:
        assert not fetch
        if not at_hand:
            raise WeightsError("not on this machine")
        return Path()

    monkeypatch.setattr(start, "imagenet_folder", folder)


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


def test_a_resumed_run_starts_from_nothing_else(said: list[str]) -> None:
    for init in ("imagenet", "runs/other/model"):
        with pytest.raises(UsageError, match=rf"init random, not {init}: .*--init auto"):
            resolve_start(None, None, {**OPTIONS, "init": init}, {"init": "random"}, said.append)
    same = {**OPTIONS, "init": "imagenet"}
    config = resolve_start(None, None, same, {"init": "imagenet"}, said.append)
    assert config == resolve("shamisa", options=same)


def test_no_checkpoint_has_no_config(tmp_path: Path) -> None:
    assert newest_config(tmp_path) is None
