"""The loop with a task of its own, not pre-training: steps, ends, signals, workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from shamisa_cli.errors import ShamisaError
from shamisa_cli.seeds import generator
from shamisa_cli.training.config import OptimizerConfig, TrainingConfig
from shamisa_cli.training.feed import made_ahead
from shamisa_cli.training.log import read_log
from shamisa_cli.training.loop import Trainer
from shamisa_cli.training.parallel import Ranks, gather_rows
from shamisa_cli.training.task import Loss, Task

ROWS = 8


class Line(Task):
    """Fits y = x·w by the correlation of all rows, so that a rank needs those of the others."""

    def __init__(self, ranks: Ranks | None = None) -> None:
        self.ranks = ranks or Ranks()
        self.model = nn.Linear(3, 1)
        with torch.no_grad():
            self.model.weight.copy_(torch.tensor([[1.0, -2.0, 0.5]]))
        self.examples, self.batch_examples, self.batch_crops = 40, ROWS, ROWS
        self.seen: list[tuple[int, float]] = []

    def batches(self, numbers: Iterator[tuple[int, float]]) -> Generator[Tensor, None, None]:
        share = self.ranks.share(ROWS)
        for number, progress in numbers:
            self.seen.append((number, progress))
            yield torch.randn(ROWS, 4, generator=generator(0, number))[share.start : share.stop]

    def loss(self, model: nn.Module, batch: Tensor) -> Loss:
        rows = gather_rows(torch.cat([model(batch[:, :3]), batch[:, 3:]], dim=1), self.ranks)
        loss = -torch.corrcoef(rows.T)[0, 1]
        if not bool(loss.isfinite()):
            raise FloatingPointError("the loss is not finite")
        return Loss(loss, {"correlation": -loss})

    def after_step(self, loss: Loss, step: int) -> dict[str, Any]:
        return {"third": step % 3 == 0}


def config(**changes: Any) -> TrainingConfig:
    return TrainingConfig(optimizer=OptimizerConfig(lr=0.5), **changes)


def test_accumulation_counts_steps_not_batches(tmp_path: Path) -> None:
    task = Line()
    finished = Trainer(task, config(steps=3, accumulate=2), tmp_path).run()
    assert (finished.reason, finished.step) == ("complete", 3)
    assert task.seen == [(k, k // 2 / 3) for k in range(6)]
    records = read_log(tmp_path / "log.jsonl")
    assert [record["step"] for record in records] == [1, 2, 3]
    assert [record["third"] for record in records] == [False, False, True]
    assert all(record["correlation"] == -record["total"] for record in records)


def test_accumulated_gradients_are_the_mean(tmp_path: Path) -> None:
    task = Line()
    before = task.model.weight.detach().clone()
    gradients = []
    for batch in [next(task.batches(iter([(k, 0.0)]))) for k in range(2)]:
        task.loss(task.model, batch).total.backward()
        gradients.append(task.model.weight.grad)
        task.model.weight.grad = None
    plain = OptimizerConfig(lr=0.5, momentum=0, weight_decay=0)
    Trainer(task, TrainingConfig(steps=1, accumulate=2, optimizer=plain), tmp_path).run()
    expected = before - 0.5 * (gradients[0] + gradients[1]) / 2
    torch.testing.assert_close(task.model.weight.detach(), expected)


def test_without_an_end_it_is_one_epoch(tmp_path: Path) -> None:
    assert Trainer(Line(), config(), tmp_path).run().step == 5  # 40 examples, 8 at a time
    assert Trainer(Line(), config(epochs=0.5, accumulate=2), tmp_path / "half").total_steps == 1


def test_a_budget_stops_by_the_clock(tmp_path: Path) -> None:
    started = time.monotonic()
    finished = Trainer(Line(), config(budget="0.5s"), tmp_path).run()
    assert 0.5 <= finished.elapsed <= time.monotonic() - started < 60
    assert read_log(tmp_path / "log.jsonl")[-1]["elapsed"] >= 0.5


def test_a_signal_stops_after_the_step_and_is_then_let_through(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    trainer = Trainer(Line(), config(steps=9), tmp_path)

    def ask_in_step_two(record: dict[str, Any]) -> None:
        if record["step"] == 2:
            os.kill(os.getpid(), signal.SIGTERM)
            assert signal.getsignal(signal.SIGTERM) == before

    finished = trainer.run(ask_in_step_two)
    assert finished.reason == "stopped"
    assert (finished.step, finished.signal) == (2, signal.SIGTERM)
    assert (tmp_path / "checkpoints" / "step-00000002" / "state.json").is_file()


def test_a_signal_in_the_last_step_leaves_it_complete_and_is_told(tmp_path: Path) -> None:
    def ask_at_the_end(record: dict[str, Any]) -> None:
        if record["step"] == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    finished = Trainer(Line(), config(steps=3), tmp_path).run(ask_at_the_end)
    assert (finished.reason, finished.step, finished.signal) == ("complete", 3, signal.SIGTERM)


def test_a_loss_that_is_not_finite_is_told_with_what_to_do(tmp_path: Path) -> None:
    task = Line()
    nn.init.zeros_(task.model.weight)  # no correlation with a constant
    with pytest.raises(ShamisaError, match=r"at step 1\. There is no checkpoint yet.*a lower lr"):
        Trainer(task, config(), tmp_path).run()


class Slow(torch.utils.data.Dataset):
    """Mini-batches that never come."""

    def __getitem__(self, key: int) -> None:
        print("working", flush=True)
        time.sleep(3600)


def test_workers_end_with_a_parent_that_is_killed() -> None:
    """They hold the parent's standard output, so it ends when the last of them does."""
    command = [sys.executable, "-c", "import test_loop; test_loop.wait_for_workers()"]
    parent = subprocess.Popen(
        command,
        cwd=Path(__file__).parent,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert parent.stdout is not None
    try:
        assert [parent.stdout.readline() for _ in range(2)] == ["working\n"] * 2
        parent.kill()
        parent.communicate(timeout=30)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(parent.pid, signal.SIGKILL)


def wait_for_workers() -> None:
    """What the killed parent runs."""
    next(made_ahead(Slow(), iter(range(9)), 2, 0))
