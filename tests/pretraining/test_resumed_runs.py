"""What a resumed run takes from its checkpoint, and what it refuses to go on with."""

from __future__ import annotations

import json
import shutil
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

from shamisa_cli.distortions.layout import BatchLayout
from shamisa_cli.encoders.encoder import Encoder
from shamisa_cli.errors import UsageError, WeightsError
from shamisa_cli.models.config import ModelConfig
from shamisa_cli.models.store import load_encoder, save_encoder
from shamisa_cli.pretraining import initial, model, run
from shamisa_cli.pretraining.config import PretrainConfig, ProjectorConfig
from shamisa_cli.pretraining.run import RunOptions, pretrain_to
from shamisa_cli.training.log import read_log

BACKBONE = "test_resnet"
MEAN = (0.1, 0.2, 0.3)
CONFIG = PretrainConfig(
    backbone=BACKBONE,
    init="random",
    crop="32",
    steps=2,
    precision="fp32",
    device="cpu",
    workers=0,
    batch=BatchLayout(tiny_batches=1, views=2, references=2, groups=2, levels=2),
    projector=ProjectorConfig(hidden=16, out=8),
)


@pytest.fixture
def photos(tmp_path: Path, sample_photos: list[Image.Image]) -> Path:
    """Three photos of 96×96 px, one of them in a folder of its own."""
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    for k, name in enumerate(("a.png", "b.png", "more/c.png")):
        sample_photos[0].crop((96 * k, 96, 96 * k + 96, 192)).save(folder / name)
    return folder


@pytest.fixture
def imagenet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What is taken for timm's repository of the backbone; remove it to be without a network."""
    folder = tmp_path / "imagenet"
    folder.mkdir()
    with torch.random.fork_rng():
        torch.manual_seed(3)
        save_file(
            timm.create_model(BACKBONE, num_classes=5).state_dict(), folder / "model.safetensors"
        )
    facts = {"mean": MEAN, "std": [0.5, 0.5, 0.5], "num_classes": 5}
    config = {"architecture": BACKBONE, "num_classes": 5, "pretrained_cfg": facts}
    (folder / "config.json").write_text(json.dumps(config))

    def found(backbone: str, *, fetch: bool) -> Path:
        if not folder.is_dir():
            raise WeightsError("cannot be had")
        return folder

    monkeypatch.setattr(initial, "imagenet_folder", found)
    return folder


def train(config: PretrainConfig, options: RunOptions) -> Path:
    folder = pretrain_to(config, options, lambda message: None, lambda record: None)
    assert folder is not None
    return folder


def losses(out: Path) -> list[tuple[int, float]]:
    return [(record["step"], record["total"]) for record in read_log(out / "log.jsonl")]


def make_old(out: Path) -> None:
    """Take from the newest checkpoint the keys that earlier versions did not write."""
    path = max(out.glob("checkpoints/*/state.json"))
    state: dict[str, Any] = json.loads(path.read_text())
    del state["encoder"], state["photos"]
    path.write_text(json.dumps(state))


def test_the_initial_weights_are_needed_once(tmp_path: Path, photos: Path, imagenet: Path) -> None:
    begun = replace(CONFIG, init="imagenet")
    train(replace(begun, steps=4), RunOptions(photos, tmp_path / "whole"))
    halves = RunOptions(photos, tmp_path / "halves")
    train(begun, halves)
    shutil.rmtree(imagenet)
    for init in ("imagenet", "auto"):
        made = train(replace(begun, init=init, steps=4), replace(halves, resume=True))
    assert losses(halves.out) == losses(tmp_path / "whole")
    assert load_encoder(made)[1].preprocessing.mean == MEAN
    assert load_encoder(made)[1].training["config"]["init"] == "imagenet"


@pytest.mark.parametrize("batch_norm", ["auto", "on"])
def test_another_init_is_refused(
    tmp_path: Path, photos: Path, imagenet: Path, batch_norm: Any
) -> None:
    projector = replace(CONFIG.projector, batch_norm=batch_norm)
    options = RunOptions(photos, tmp_path / "run")
    begun = replace(CONFIG, projector=projector)
    train(begun, options)
    with pytest.raises(UsageError, match=r"init random, not imagenet: .*--init auto"):
        train(replace(begun, init="imagenet", steps=3), replace(options, resume=True))


def test_other_photos_are_refused(tmp_path: Path, photos: Path) -> None:
    options = RunOptions(photos, tmp_path / "run")
    train(CONFIG, options)
    again = replace(options, resume=True)
    shutil.copy(photos / "a.png", photos / "d.png")
    with pytest.raises(UsageError, match=r"photos holds 4 photos, .* began with 3: .*--photos"):
        train(replace(CONFIG, steps=3), again)
    (photos / "a.png").unlink()
    with pytest.raises(UsageError, match=r"holds 3 photos, .* began with 3 of other names: "):
        train(replace(CONFIG, steps=3), again)
    (photos / "d.png").rename(photos / "a.png")
    elsewhere = photos.rename(tmp_path / "elsewhere")
    train(replace(CONFIG, steps=3), replace(again, photos=elsewhere))
    assert len(losses(options.out)) == 3


def test_tensorboard_hears_which_step_comes_first(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_steps: list[int] = []

    def writer(out: Path, first_step: int) -> nullcontext[None]:
        first_steps.append(first_step)
        return nullcontext()

    monkeypatch.setattr(run, "tensorboard_writer", writer)
    options = RunOptions(photos, tmp_path / "run")
    train(CONFIG, options)
    train(replace(CONFIG, steps=3), replace(options, resume=True))
    assert first_steps == [1, 3]


def test_an_old_checkpoint_goes_on_as_before(tmp_path: Path, photos: Path, imagenet: Path) -> None:
    options = RunOptions(photos, tmp_path / "run")
    begun = replace(CONFIG, init="imagenet")
    train(begun, options)
    make_old(options.out)
    shutil.copy(photos / "a.png", photos / "d.png")
    made = train(replace(begun, steps=3), replace(options, resume=True))
    assert load_encoder(made)[1].preprocessing.mean == MEAN
    shutil.rmtree(imagenet)  # the new checkpoint knows
    train(replace(begun, steps=4), replace(options, resume=True))


def test_an_old_run_that_saw_more_than_the_last_stage_goes_on_so(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = Encoder.from_name(BACKBONE, None, "log_stages", "scene")
    facts = ModelConfig("rich", BACKBONE, encoder.feature_size, "log_stages", "scene")
    save_encoder(tmp_path / "rich", encoder, facts)
    begun = replace(CONFIG, init=str(tmp_path / "rich"))
    options = RunOptions(photos, tmp_path / "run")
    with monkeypatch.context() as earlier:
        earlier.setattr(model, "initial_encoder", initial._named_encoder)
        train(begun, options)
    make_old(options.out)
    for steps in (3, 4):
        train(replace(begun, steps=steps), replace(options, resume=True))
    assert len(losses(options.out)) == 4
