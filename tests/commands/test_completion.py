"""Completion: what a shell that runs our script would offer, at once; and names that nobody has."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_args

import click
import pytest
import timm
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from shamisa_cli.cli import COMMANDS, app
from shamisa_cli.commands import completion
from shamisa_cli.datasets.registry import DATASETS
from shamisa_cli.distortions.registry import DISTORTIONS
from shamisa_cli.graphs.registry import available_sources
from shamisa_cli.graphs.shares import AlphaMode
from shamisa_cli.models.names import bundled_models
from shamisa_cli.pretraining.presets import PRESETS


def offered(line: str) -> list[str]:
    """The values offered for the last word of ``line``."""
    *before, last = line.split(" ")
    found = ShellComplete(app, {}, "shamisa", "_SHAMISA_COMPLETE").get_completions(before, last)
    return [item.value for item in found if item.type == "plain"]


def test_the_lists_are_those_of_the_registries() -> None:
    context = click.Context(app)
    assert set(completion.DATASETS) == set(DATASETS)
    assert set(completion.PRESETS) == set(PRESETS)
    assert tuple(DISTORTIONS) == completion.DISTORTIONS
    assert get_args(AlphaMode) == completion.ALPHAS
    assert completion._backbones(context) == sorted(timm.list_models())
    assert set(completion._plugins("shamisa.graph_sources")) == {
        name for name in available_sources() if " (" not in name
    }


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("pret", ["pretrain"]),
        ("score --model ", ["default", *bundled_models()]),
        ("score --model fast --head m", ["mixed"]),
        ("ladder photos --head m", ["mixed"]),
        ("score --model nowhere --head ", []),
        ("score --crops f", ["five"]),
        ("demo --device c", ["cpu", "cuda"]),
        ("pretrain --preset sh", ["shamisa"]),
        ("pretrain --ablation A", ["A1", "A2", "A3", "A4"]),
        ("pretrain --alpha b", ["balanced"]),
        ("pretrain --backbone mobilenetv4_conv_small_03", ["mobilenetv4_conv_small_035"]),
        ("backbones swinv2_tiny_window8", ["swinv2_tiny_window8_256"]),
        ("pretrain --init ima", ["imagenet"]),
        ("pretrain --graph kn", ["knn"]),
        ("probe --dataset cs", ["csiq"]),
        ("probe --dataset live,k", ["live,kadid10k", "live,koniq"]),
        ("probe --dataset live --test-on cl", ["clive"]),
        ("fit tid", ["tid2013"]),
        ("embed --dataset la", ["ladder"]),
        ("datasets pull sp", ["spaq"]),
        ("export fa", ["fast"]),
        ("push fa", ["fast"]),
        ("distort --distortion pix", ["pixelate"]),
    ],
)
def test_values_are_offered(
    line: str, values: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("shamisa_cli.hub.names.cache_folder", lambda: tmp_path)
    assert offered(line) == values


def test_models_of_runs_and_of_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("shamisa_cli.hub.names.cache_folder", lambda: tmp_path)
    (tmp_path / "models--me--mine" / "snapshots").mkdir(parents=True)
    model = Path("runs", "first", "model")
    (model / "heads").mkdir(parents=True)
    (model / "config.json").touch()
    (model / "heads" / "weddings.json").touch()
    assert offered("score --model r") == [str(model)]
    assert offered("score --model h") == ["hf://me/mine"]
    assert offered(f"score --model {model} --head ") == ["weddings"]


def test_every_option_that_takes_a_model_or_head_or_dataset_completes_it() -> None:
    context = click.Context(app)
    for name in COMMANDS:
        command = app.get_command(context, name)
        assert command is not None
        for parameter in command.params:
            if parameter.name in ("model", "head", "dataset", "datasets", "backbone", "preset"):
                assert parameter._custom_shell_complete is not None, (name, parameter.name)


def test_completion_imports_nothing_heavy() -> None:
    for line in ("score --model fa", "pretrain --backbone resnet5", "score --head m"):
        code = (
            "import sys, atexit\n"
            "atexit.register(lambda: print({'torch', 'timm', 'numpy'} & set(sys.modules)))\n"
            "from shamisa_cli.cli import main; main()"
        )
        words = f"shamisa {line}"
        count = str(len(words.split()) - 1)
        asked = {"COMP_WORDS": words, "COMP_CWORD": count, "_SHAMISA_COMPLETE": "bash_complete"}
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, **asked},
            capture_output=True,
            text=True,
        )
        *values, heavy = done.stdout.splitlines()
        assert heavy == "set()"
        assert len(values) > 0


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
def test_in_a_bash(tmp_path: Path) -> None:
    """As documented: the script is sourced, then a word is completed."""
    command = tmp_path / "shamisa"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m shamisa_cli "$@"\n')
    command.chmod(0o755)
    script = (
        'eval "$(_SHAMISA_COMPLETE=bash_source shamisa)" 2>/dev/null\n'
        "compopt() { :; }\n"  # works inside of a real completion only
        "COMP_WORDS=(shamisa score --model fa); COMP_CWORD=3; _shamisa_completion shamisa\n"
        'echo "${COMPREPLY[@]}"\n'
    )
    path = os.pathsep.join((str(tmp_path), os.environ["PATH"]))
    done = subprocess.run(
        ["bash", "-c", script], env={**os.environ, "PATH": path}, capture_output=True, text=True
    )
    assert done.stdout == "fast\n", done.stderr


@pytest.mark.parametrize(
    ("pattern", "near"),
    [("resent50", "resnet50"), ("convnxt", "convnext"), ("*swinn*", "swin"), ("nosuchthing", "")],
)
def test_a_backbone_that_nobody_has_is_answered_with_near_ones(pattern: str, near: str) -> None:
    result = CliRunner().invoke(app, ["backbones", pattern])
    assert result.exit_code == 2
    assert f"no backbone's name holds {pattern!r}. Did you mean {near}" in result.stderr
    suggested = result.stderr.partition("Did you mean ")[2].partition("?")[0].split(" or ")
    assert len(suggested) == 3
    assert all(timm.list_models(f"*{name}*") for name in suggested)
