"""Whole runs on a folder of crops of the sample photos: they learn, stop, resume and refuse."""

from __future__ import annotations

import errno
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from huggingface_hub import constants
from PIL import Image

from shamisa_cli.cli import app
from shamisa_cli.distortions.layout import BatchLayout
from shamisa_cli.errors import PhotoError, ShamisaError, UsageError, WeightsError
from shamisa_cli.imaging.pool import PhotoPool
from shamisa_cli.models.store import load_encoder
from shamisa_cli.pretraining import run
from shamisa_cli.pretraining.config import PretrainConfig, ProjectorConfig
from shamisa_cli.pretraining.probe import PROBES, Probe, Probed, probing
from shamisa_cli.pretraining.run import pretrain_to
from shamisa_cli.pretraining.start import plan_start
from shamisa_cli.settings import to_mapping
from shamisa_cli.training.config import OptimizerConfig
from shamisa_cli.training.log import read_log

TINY = BatchLayout(tiny_batches=1, views=2, references=2, groups=2, levels=2)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory, sample_photos: list[Image.Image]) -> Path:
    """A folder of six 160×160 photos."""
    folder = tmp_path_factory.mktemp("photos")
    for k, photo in enumerate(sample_photos):
        for x in (0, 160, 320):
            photo.crop((x, 60, x + 160, 220)).save(folder / f"{k}-{x}.png")
    return folder


def config(**changes: Any) -> PretrainConfig:
    tiny = PretrainConfig(
        backbone="test_resnet",
        init="random",
        crop="64",
        steps=4,
        precision="fp32",
        device="cpu",
        workers=0,
        batch=TINY,
        projector=ProjectorConfig(hidden=32, out=16),
        optimizer=OptimizerConfig(name="adamw", lr=1e-3),
    )
    return replace(tiny, **changes)


def train(
    config: PretrainConfig,
    out: Path,
    photos: Path,
    *,
    resume: bool = False,
    preset: str = "shamisa",
    say: Any = lambda line: None,
    on_step: Any = lambda record: None,
    **more: Any,
) -> Path:
    start = plan_start(to_mapping(config), out, say, preset=preset, resume=resume)
    model, _ = pretrain_to(out, start, PhotoPool(photos), say, on_step, **more)
    assert model is not None
    return model


def losses(out: Path) -> list[tuple[int, float]]:
    return [(record["step"], record["total"]) for record in read_log(out / "log.jsonl")]


@pytest.mark.usefixtures("pictures")
def test_a_run_leaves_all_that_is_promised(tmp_path: Path, photos: Path) -> None:
    model = train(config(), tmp_path / "run", photos)
    names = {path.name for path in (tmp_path / "run").iterdir()}
    curves = {"losses.png", "graphs.png", "dynamics.png"}
    assert {"config.json", "log.jsonl", "batch.png"} | curves <= names
    saved = json.loads((tmp_path / "run" / "config.json").read_text())
    assert saved == json.loads(json.dumps(to_mapping(config())))
    encoder, facts = load_encoder(model)
    assert facts.backbone == "test_resnet"
    assert facts.training["steps"] == 4
    assert facts.training["crops"] == 4 * TINY.n
    norms = encoder(torch.rand(2, 3, 64, 64)).norm(dim=1)
    torch.testing.assert_close(norms, torch.ones(2))
    records = read_log(tmp_path / "run" / "log.jsonl")
    assert [record["step"] for record in records] == [1, 2, 3, 4]
    assert sum(records[0]["alpha"].values()) == pytest.approx(1)
    # paired_view: 1 on the pair of references of each view, group and level
    assert records[0]["edges"]["paired_view"] == records[0]["edge_weights"]["paired_view"] == 8


@pytest.mark.parametrize("workers", [0, 2])
def test_resumed_is_bit_for_bit_unkilled(tmp_path: Path, photos: Path, workers: int) -> None:
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    unkilled = train(config(steps=6), whole, photos)
    cut = config(steps=6, workers=workers)

    def die_in_step_four(record: dict[str, Any]) -> None:
        if record["step"] == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(cut, halves, photos, save_every=2, on_step=die_in_step_four)
    assert len(losses(halves)) == 4
    resumed = train(cut, halves, photos, resume=True)
    assert losses(halves) == losses(whole)
    weights = load_encoder(resumed)[0].state_dict()
    for key, expected in load_encoder(unkilled)[0].state_dict().items():
        assert torch.equal(weights[key], expected), key


def pretrain(photos: Path, out: Path, *options: str) -> list[str]:
    """The command line of a run of small networks on mini-batches of 16 crops."""
    config = out.with_suffix(".toml")
    config.write_text(
        "batch = { tiny_batches = 1, references = 2, groups = 2, levels = 2 }\n"
        "projector = { hidden = 32, out = 16 }\n"
    )
    command = [sys.executable, "-m", "shamisa_cli", "pretrain", "--config", str(config)]
    command += ["--photos", str(photos), "--out", str(out), "--workers", "1"]
    return [*command, "--backbone", "test_resnet", "--init", "random", *options]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_group_saves_and_is_the_exit_code(
    tmp_path: Path, photos: Path, number: signal.Signals
) -> None:
    command = pretrain(photos, tmp_path / "run", "--crop", "64", "--budget", "5m", "--quiet")
    process = subprocess.Popen(command, start_new_session=True)
    log = tmp_path / "run" / "log.jsonl"
    deadline = time.monotonic() + 90
    while len(read_log(log)) < 2 and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, number)
    assert process.wait(60) == 128 + number
    steps = read_log(log)[-1]["step"]
    assert (tmp_path / "run" / "checkpoints" / f"step-{steps:08d}" / "state.json").is_file()
    assert (tmp_path / "run" / "model" / "model.safetensors").is_file()


def test_an_epoch_counts_one_photo_a_tiny_batch(tmp_path: Path, photos: Path) -> None:
    """As published: 140,000 photos and B = 2 are 70,000 steps, whatever R is."""
    assert TINY.references > 1
    train(config(steps=None, epochs=1.0), tmp_path, photos)
    assert len(losses(tmp_path)) == len(list(photos.iterdir())) // TINY.tiny_batches


def test_learning_lowers_the_loss(tmp_path: Path, photos: Path) -> None:
    train(config(steps=60), tmp_path, photos)
    totals = [total for _, total in losses(tmp_path)]
    assert sum(totals[-10:]) < sum(totals[:10])


def test_spoilt_weights_are_no_checkpoint(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gradient may be infinite where the loss is finite, as in bf16."""
    update = torch.optim.AdamW.step

    def spoil_the_third(optimizer: torch.optim.AdamW, *args: Any) -> Any:
        made = update(optimizer, *args)
        weight = optimizer.param_groups[0]["params"][0]
        if optimizer.state[weight]["step"] == 3:
            weight.data.fill_(torch.inf)
        return made

    monkeypatch.setattr(torch.optim.AdamW, "step", spoil_the_third)
    with pytest.raises(ShamisaError, match=r"weights .* step 3\. The last good .* step 2: resume"):
        train(config(steps=5), tmp_path / "saved", photos, save_every=1)
    saved = sorted(path.name for path in (tmp_path / "saved" / "checkpoints").iterdir())
    assert saved == ["step-00000001", "step-00000002"]
    with pytest.raises(ShamisaError, match=r"not finite at step 4\. There is no checkpoint yet"):
        train(config(steps=5), tmp_path / "unsaved", photos)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--backbone", "resnet51"], "Did you mean"),
        (["--preset", "shamiza"], "Did you mean shamisa"),
        (["--graph", "knm:k=3"], "Did you mean knn"),
        (["--graph", "knn:k=3", "--graph", "knn:coeff=0.3"], "--graph knn is given twice"),
        (["--graph", "knn:kk=3"], "k"),
        (["--graph", "knn:coeff=much"], "graph source 'knn': coeff: expected float, got 'much'"),
        (["--no-graph", "knm"], "Did you mean knn"),
        (["--photos", "/nowhere/at/all"], "/nowhere/at/all"),
        (["--budgett", "5m"], "No such option"),
    ],
)
def test_wrong_arguments_are_refused_plainly(
    arguments: list[str], message: str, photos: Path, tmp_path: Path
) -> None:
    given = ["pretrain", "--init", "random", "--out", str(tmp_path / "run")]
    given += [] if "--photos" in arguments else ["--photos", str(photos)]
    result = CliRunner().invoke(app, [*given, *arguments])
    assert result.exit_code in (1, 2)
    assert message in result.output
    assert not isinstance(result.exception, (KeyError, TypeError, ValueError))


def test_without_photos_one_line_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SHAMISA_DATA", raising=False)
    result = CliRunner().invoke(app, ["pretrain", "--init", "random"])
    assert result.exit_code == 2
    assert "--photos DIR" in result.output
    assert "SHAMISA_DATA" in result.output
    monkeypatch.setenv("SHAMISA_DATA", "/nowhere/at/all")
    result = CliRunner().invoke(app, ["pretrain", "--init", "random"])
    assert result.exit_code == 2
    assert "(it is /nowhere/at/all, which holds neither)" in result.output


def test_without_imagenet_weights_the_run_says_so_before_it_starts(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    said: list[str] = []
    auto = tmp_path / "auto"
    train(config(init="auto", steps=1), auto, photos, say=said.append)
    assert "starting from random weights" in said[0]
    assert "run: shamisa pull hf://timm/test_resnet.r160_in1k" in said[0]
    assert json.loads((auto / "config.json").read_text())["init"] == "random"
    train(config(init="auto", steps=2), auto, photos, resume=True)
    assert losses(auto)[-1][0] == 2
    with pytest.raises(WeightsError, match="init random"):
        train(config(init="imagenet", steps=1), tmp_path / "insists", photos)
    with pytest.raises(UsageError, match="trained below 1 needs a start from trained weights"):
        train(config(init="auto", trained=0.3), tmp_path / "part", photos)


def test_a_second_run_in_the_same_folder_is_refused_and_takes_nothing_away(
    tmp_path: Path, photos: Path
) -> None:
    def begin_another(record: dict[str, Any]) -> None:
        other = plan_start(to_mapping(config(steps=1)), tmp_path, print, overwrite=True)
        with pytest.raises(UsageError, match=r"log\.jsonl: another run is writing"):
            pretrain_to(tmp_path, other, PhotoPool(photos), print, lambda record: None)

    train(config(steps=2), tmp_path, photos, on_step=begin_another, save_every=1)
    assert [step for step, _ in losses(tmp_path)] == [1, 2]
    assert {path.name for path in tmp_path.iterdir()} >= {"batch.png", "checkpoints", "model"}
    other = plan_start(to_mapping(config(steps=1)), tmp_path, print, overwrite=True)
    assert pretrain_to(tmp_path, other, PhotoPool(photos), print, print)[1].reason == "complete"


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path, photos: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"file/run: cannot be written: "):
        train(config(steps=1), tmp_path / "file" / "run", photos)


@pytest.mark.parametrize("name", ["model", "losses.png"])
def test_a_full_disk_at_the_end_is_named_and_resumed_from(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(run, "save_encoder" if name == "model" else "plot_run", full)
        with pytest.raises(ShamisaError, match=rf"{name}: .*No space left.*; make room, then"):
            train(config(steps=1), tmp_path, photos)
    assert (train(config(steps=1), tmp_path, photos, resume=True) / "model.safetensors").is_file()


def test_probes_on_the_way_are_said_and_do_not_end_the_run(tmp_path: Path, photos: Path) -> None:
    def measure(folder: Path) -> Probed:
        steps = load_encoder(folder)[1].training["steps"]
        if steps == 4:
            raise PhotoError(f"{folder}/3.jpg: damaged")
        return Probed(f"{steps} steps", {"clive SRCC": steps / 10})

    said: list[str] = []
    train(config(steps=5), tmp_path, photos, say=said.append, probe=Probe(2, measure))
    assert len(read_log(tmp_path / "log.jsonl")) == 5
    assert [line for line in said if line.startswith("step ")] == [
        "step 2: 2 steps",
        f"step 4: not measured: {tmp_path / 'model'}/3.jpg: damaged",
    ]
    figures = [{"step": 2, "clive SRCC": 0.2}]
    assert read_log(tmp_path / PROBES) == figures
    more = {"say": said.append, "probe": Probe(3, measure)}
    train(config(steps=6, dynamics_every=3), tmp_path, photos, resume=True, **more)
    assert read_log(tmp_path / PROBES) == [*figures, {"step": 6, "clive SRCC": 0.6}]


def test_figures_past_the_checkpoint_are_dropped(tmp_path: Path) -> None:
    lines = "".join(f'{{"step": {step}, "clive SRCC": 0.5}}\n' for step in (2, 4, 6))
    (tmp_path / PROBES).write_text(lines)
    undefined = Probe(5, lambda folder: Probed("constant", {"clive SRCC": math.nan}))
    with probing(undefined, tmp_path, 4, lambda: tmp_path, print) as after_step:
        after_step(5)
    assert [record["step"] for record in read_log(tmp_path / PROBES)] == [2, 4]


@pytest.mark.parametrize("preset", ["arniqa", "reiqa", "contrique", "vicreg", "scratch"])
def test_presets_train(tmp_path: Path, photos: Path, preset: str) -> None:
    options = to_mapping(config(steps=1))
    del options["graphs"]
    start = plan_start(options, tmp_path, print, preset=preset)
    pretrain_to(tmp_path, start, PhotoPool(photos), print, print)
    assert list(read_log(tmp_path / "log.jsonl")[0]["alpha"]) == list(start.config.graphs.sources)


def test_a_run_that_fails_ends_with_its_workers(tmp_path: Path, photos: Path) -> None:
    diverges = ("--preset", "shamisa", "--crop", "32", "--lr", "1e30", "--steps", "50")
    command = pretrain(photos, tmp_path / "run", *diverges)
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert "not finite at step" in done.stderr


def test_other_photos_are_refused(tmp_path: Path, photos: Path) -> None:
    mine, out = shutil.copytree(photos, tmp_path / "photos"), tmp_path / "run"
    train(config(steps=1), out, mine)

    def go_on(photos: Path) -> None:
        train(config(steps=2), out, photos, resume=True)

    shutil.copy(mine / "0-0.png", mine / "d.png")
    with pytest.raises(UsageError, match=r"photos holds 7 photos, .* began with 6: resume"):
        go_on(mine)
    (mine / "0-0.png").unlink()
    with pytest.raises(UsageError, match=r"holds 6 photos, .* began with 6 of other names: "):
        go_on(mine)
    (mine / "d.png").rename(mine / "0-0.png")
    go_on(mine.rename(tmp_path / "elsewhere"))
    assert len(losses(out)) == 2


def test_tensorboard_hears_which_step_comes_first(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_steps: list[int] = []

    def writer(out: Path, first_step: int) -> nullcontext[None]:
        first_steps.append(first_step)
        return nullcontext()

    monkeypatch.setattr(run, "tensorboard_writer", writer)
    train(config(steps=2), tmp_path, photos)
    train(config(steps=3), tmp_path, photos, resume=True)
    assert first_steps == [1, 3]
