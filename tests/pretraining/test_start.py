"""Where a run starts: its recipe and its weights, asked for or not, and a resumed run's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from shamisa_cli.encoders.config import Preprocessing
from shamisa_cli.encoders.encoder import Encoder
from shamisa_cli.errors import UsageError, WeightsError
from shamisa_cli.models.config import ModelConfig
from shamisa_cli.models.store import load_encoder, save_encoder
from shamisa_cli.pretraining import start
from shamisa_cli.pretraining.config import PretrainConfig
from shamisa_cli.pretraining.presets import resolve
from shamisa_cli.pretraining.start import plan_start
from shamisa_cli.settings import to_mapping
from shamisa_cli.training.checkpoint import Checkpoint, save_checkpoint

BACKBONE = "test_resnet"
OPTIONS = {"backbone": BACKBONE, "projector": {"hidden": 8, "out": 4}}
PREPROCESSING = Preprocessing(mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7))


@pytest.fixture
def said() -> list[str]:
    return []


def imagenet(monkeypatch: pytest.MonkeyPatch, *, at_hand: bool) -> None:
    """Have timm's weights in the cache, or not."""

    def folder(backbone: str, *, fetch: bool) -> Path:
        if not at_hand:
            assert not fetch
            raise WeightsError("not on this machine")
        return Path()

    monkeypatch.setattr(start, "imagenet_folder", folder)
    monkeypatch.setattr(
        start, "load_pretrained", lambda folder, name: Encoder.from_name(name, PREPROCESSING)
    )


def config_of(out: Path, said: list[str], preset: str | None = None, **options: Any) -> Any:
    return plan_start({**OPTIONS, **options}, out, said.append, preset=preset).config


def test_imagenet_weights_take_the_published_recipe(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: list[str]
) -> None:
    imagenet(monkeypatch, at_hand=True)
    begun = plan_start(OPTIONS, tmp_path, said.append)
    assert begun.config == resolve("shamisa", options={**OPTIONS, "init": "imagenet"})
    assert begun.checkpoint is None
    assert begun.model.encoder.preprocessing == PREPROCESSING
    assert said == []


def test_random_weights_take_the_recipe_for_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: list[str]
) -> None:
    imagenet(monkeypatch, at_hand=False)
    assert config_of(tmp_path, said) == resolve("scratch", options=OPTIONS)
    assert [line.split(":")[0] for line in said] == [
        "starting from random weights",
        "preset scratch",
    ]
    asked = config_of(tmp_path, said, init="random", seed=3)
    assert asked == resolve("scratch", options={**OPTIONS, "seed": 3})


def test_a_preset_that_was_asked_for_stays(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: list[str]
) -> None:
    imagenet(monkeypatch, at_hand=False)
    config = config_of(tmp_path, said, "shamisa")
    assert config == resolve("shamisa", options={**OPTIONS, "init": "random"})
    assert "preset scratch" in said[-1]
    assert list(config_of(tmp_path, said, "arniqa").graphs.sources) == ["arniqa"]


def test_random_weights_are_a_pure_function_of_the_seed(tmp_path: Path) -> None:
    def weights(seed: int) -> dict[str, torch.Tensor]:
        options = {**OPTIONS, "init": "random", "seed": seed}
        return plan_start(options, tmp_path, lambda line: None).model.state_dict()

    first = weights(0)
    torch.rand(3)
    assert all(torch.equal(value, first[key]) for key, value in weights(0).items())
    key = "encoder.backbone.conv1.0.weight"
    assert not torch.equal(weights(1)[key], first[key])


def test_training_sees_the_last_stage_of_any_model(tmp_path: Path, said: list[str]) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        encoder = Encoder.from_name(BACKBONE, PREPROCESSING, "log_stages", "scene")
    rich = ModelConfig(
        "rich", BACKBONE, encoder.feature_size, "log_stages", "scene", preprocessing=PREPROCESSING
    )
    folder = tmp_path / "rich"
    save_encoder(folder, encoder, rich)
    options = {**OPTIONS, "init": str(folder)}
    made = plan_start(options, tmp_path / "run", said.append).model.encoder
    assert (made.pooling, made.statistics) == ("last", "none")
    assert made.feature_size == Encoder.from_name(BACKBONE).feature_size
    assert made.preprocessing == PREPROCESSING
    there = load_encoder(folder)[0].state_dict()
    for key, value in made.state_dict().items():
        assert torch.equal(value, there[key]), key
    wrong = {**options, "backbone": "test_vit"}
    with pytest.raises(UsageError, match="set backbone to test_resnet"):
        plan_start(wrong, tmp_path / "run", said.append)


def save_begun(out: Path, preset: str, init: str) -> PretrainConfig:
    """A checkpoint in ``out``, as of a run that began so."""
    config = resolve(preset, options={**OPTIONS, "init": init})
    facts = {"preprocessing": to_mapping(PREPROCESSING)}
    state = Checkpoint(3, 1.0, to_mapping(config), {}, {"state": {}, "param_groups": []}, facts)
    save_checkpoint(out / "checkpoints", state)
    return config


@pytest.mark.parametrize(("preset", "init"), [("scratch", "random"), ("shamisa", "imagenet")])
def test_a_resumed_run_starts_as_it_did(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: list[str], preset: str, init: str
) -> None:
    imagenet(monkeypatch, at_hand=init == "random")
    begun = save_begun(tmp_path, preset, init)
    for options in (OPTIONS, {**OPTIONS, "init": init, "steps": 9}):
        resumed = plan_start(options, tmp_path, said.append, resume=True)
        assert resumed.config.init == init
        assert resumed.config.graphs == begun.graphs
        assert resumed.checkpoint is not None
        assert resumed.checkpoint.step == 3
        assert resumed.model.encoder.preprocessing == PREPROCESSING


@pytest.mark.parametrize("batch_norm", ["auto", "on"])
def test_a_resumed_run_starts_from_nothing_else(
    tmp_path: Path, said: list[str], batch_norm: str
) -> None:
    save_begun(tmp_path, "scratch", "random")
    for init in ("imagenet", "runs/other/model"):
        options = {**OPTIONS, "init": init, "projector": {"batch_norm": batch_norm}}
        with pytest.raises(UsageError, match=rf"init random, not {init}: .*init auto"):
            plan_start(options, tmp_path, said.append, resume=True)


def test_another_run_is_not_overwritten_nor_resumed(tmp_path: Path, said: list[str]) -> None:
    save_begun(tmp_path, "scratch", "random")
    with pytest.raises(UsageError, match=r"holds a run already \(step 3\): resume it"):
        plan_start(OPTIONS, tmp_path, said.append)
    with pytest.raises(UsageError, match="give one of them"):
        plan_start(OPTIONS, tmp_path, said.append, resume=True, overwrite=True)
    with pytest.raises(UsageError, match="another seed, crop"):
        plan_start({**OPTIONS, "seed": 1, "crop": "32"}, tmp_path, said.append, resume=True)


def test_resume_without_a_checkpoint_says_that_it_begins(tmp_path: Path, said: list[str]) -> None:
    plan_start({**OPTIONS, "init": "random"}, tmp_path, said.append, resume=True)
    assert f"nothing to resume in {tmp_path}: a new run" in said


@pytest.mark.parametrize("preset", ["scratch", "shamisa"])
def test_a_run_of_an_earlier_version_goes_on(tmp_path: Path, said: list[str], preset: str) -> None:
    """Keys that it did not know yet are as by default."""
    begun = to_mapping(resolve(preset, options={**OPTIONS, "init": "random"}))
    del begun["compositions"]
    begun["graphs"] = {key: begun["graphs"][key] for key in ("sources", "alpha", "detach")}
    state = Checkpoint(
        3,
        1.0,
        begun,
        {},
        {"state": {}, "param_groups": []},
        {"preprocessing": to_mapping(PREPROCESSING)},
    )
    save_checkpoint(tmp_path / "checkpoints", state)
    resumed = plan_start(OPTIONS, tmp_path, said.append, preset=preset, resume=True)
    assert resumed.checkpoint is not None
    for ablation, key in (("A1", "graphs"), ("D4", "compositions")):
        with pytest.raises(UsageError, match=f"made with another {key}: resume with"):
            plan_start(
                OPTIONS, tmp_path, said.append, preset=preset, ablations=[ablation], resume=True
            )
