"""Checkpoints are whole or absent, and hold the optimizer bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from shamisa_cli.errors import ShamisaError, WeightsError
from shamisa_cli.training.checkpoint import (
    KEPT,
    Checkpoint,
    checkpoints,
    load_checkpoint,
    save_checkpoint,
)
from shamisa_cli.training.config import OptimizerConfig
from shamisa_cli.training.optimizer import make_optimizer


def trained(name: str) -> tuple[nn.Module, torch.optim.Optimizer]:
    """A small model three steps into its training."""
    rng = torch.Generator().manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, 2))
    optimizer = make_optimizer(model, OptimizerConfig(name=name, lr=0.01))
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.randn(6, 4, generator=rng)).square().sum().backward()
        optimizer.step()
    return model, optimizer


def checkpoint_of(model: nn.Module, optimizer: torch.optim.Optimizer, step: int = 3) -> Checkpoint:
    return Checkpoint(
        step, 1.5, {"seed": 0}, model.state_dict(), optimizer.state_dict(), {"photos": 3}
    )


@pytest.mark.parametrize("name", ["sgd", "adamw", "lars"])
def test_round_trip_is_exact(tmp_path: Path, name: str) -> None:
    model, optimizer = trained(name)
    loaded = load_checkpoint(save_checkpoint(tmp_path, checkpoint_of(model, optimizer)))
    assert (loaded.step, loaded.elapsed) == (3, 1.5)
    assert (loaded.config, loaded.facts) == ({"seed": 0}, {"photos": 3})
    again, again_optimizer = trained(name)
    again.load_state_dict(loaded.model)
    again_optimizer.load_state_dict(loaded.optimizer)
    x = torch.randn(6, 4, generator=torch.Generator().manual_seed(1))
    for m, o in ((model, optimizer), (again, again_optimizer)):
        o.zero_grad()
        m(x).square().sum().backward()
        o.step()
    for key, value in model.state_dict().items():
        assert torch.equal(value, again.state_dict()[key]), key


def test_what_a_killed_process_left_half_written_goes(tmp_path: Path) -> None:
    model, optimizer = trained("sgd")
    (tmp_path / ".step-00000002.123").mkdir()
    save_checkpoint(tmp_path, checkpoint_of(model, optimizer))
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000003"]


@pytest.mark.parametrize("config", [{}, {"larger than all tensors": "x" * 20_000}])
def test_a_full_disk_is_named_and_leaves_nothing_half_written(
    tmp_path: Path,
    no_file_over: Callable[[int], AbstractContextManager[None]],
    config: dict[str, Any],
) -> None:
    checkpoint = replace(checkpoint_of(*trained("sgd")), config=config)
    with (
        no_file_over(10_000 if config else 100),
        pytest.raises(ShamisaError, match=r"step-00000003: .*\(.*\); make room, then resume"),
    ):
        save_checkpoint(tmp_path, checkpoint)
    assert list(tmp_path.iterdir()) == []
    assert load_checkpoint(save_checkpoint(tmp_path, checkpoint)).config == config


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ShamisaError, match=r"file/step-00000003: cannot be written"):
        save_checkpoint(tmp_path / "file", checkpoint_of(*trained("sgd")))


def test_a_folder_without_its_state_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "step-00000003").mkdir()
    (tmp_path / "step-00000003" / "state.safetensors").write_bytes(b"")
    saved = save_checkpoint(tmp_path, checkpoint_of(*trained("sgd")))
    assert checkpoints(tmp_path) == [saved]
    assert load_checkpoint(saved).step == 3


def test_only_the_newest_stay_and_half_written_ones_do_not_count(tmp_path: Path) -> None:
    model, optimizer = trained("sgd")
    for step in range(1, 6):
        save_checkpoint(tmp_path, checkpoint_of(model, optimizer, step))
    (tmp_path / ".step-00000009.123").mkdir()
    (tmp_path / "step-00000010").mkdir()
    kept = [path.name for path in checkpoints(tmp_path)]
    assert kept == [f"step-{step:08d}" for step in range(6 - KEPT, 6)]


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path, checkpoint_of(*trained("sgd")))
    tensors = path / "state.safetensors"
    tensors.write_bytes(tensors.read_bytes()[:100])
    with pytest.raises(WeightsError, match=r"step-00000003: damaged checkpoint"):
        load_checkpoint(path)
