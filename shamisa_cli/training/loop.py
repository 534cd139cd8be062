"""The training loop, top to bottom: feed, step, log, checkpoint, stop.

What is trained is a :class:`~shamisa_cli.training.task.Task`; the loop knows only its losses.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from torch import nn
from torch.nn.parallel import DistributedDataParallel

from shamisa_cli.errors import ShamisaError
from shamisa_cli.settings import to_mapping
from shamisa_cli.training.checkpoint import Checkpoint, save_checkpoint
from shamisa_cli.training.config import TrainingConfig, parse_duration
from shamisa_cli.training.log import LOG, RunLog
from shamisa_cli.training.optimizer import (
    Position,
    learning_rate,
    make_optimizer,
    set_learning_rate,
)
from shamisa_cli.training.parallel import Ranks, agree, distributed
from shamisa_cli.training.task import Task


@dataclass(frozen=True)
class Finished:
    """How a run ended: ``complete``, or ``stopped`` by a signal (it can be resumed).

    ``signal`` is the number of a signal that asked to stop, 0 without one. One that comes in the
    last step leaves the run complete.
    """

    reason: str
    step: int
    elapsed: float
    signal: int = 0


class Trainer:
    """A run of a task. State: the optimizer, and how far the run is.

    With ``checkpoint`` it goes on from there as if it had not stopped. Checkpoints and the log go
    into the folder ``out``.
    """

    def __init__(
        self,
        task: Task,
        config: TrainingConfig,
        out: Path,
        ranks: Ranks | None = None,
        save_every: int = 250,
        checkpoint: Checkpoint | None = None,
    ) -> None:
        self.task = task
        self.config = config
        self.out = out
        self.ranks = ranks or Ranks()
        self.save_every = save_every
        self.optimizer = make_optimizer(task.model, config.optimizer, task.rates())
        self.step = self.saved = 0
        self.elapsed = 0.0
        if checkpoint is not None:
            task.model.load_state_dict(checkpoint.model)
            self.optimizer.load_state_dict(checkpoint.optimizer)
            self.step = self.saved = checkpoint.step
            self.elapsed = checkpoint.elapsed
        self.model = distributed(task.model, self.ranks)

    def run(self, on_step: Callable[[dict[str, Any]], None] | None = None) -> Finished:
        """Train to the end of the run, or until a signal asks to stop.

        ``on_step`` gets each step's log record, ``progress`` and ``total_steps`` added.
        """
        self.task.model.train()
        with (
            self._log() as log,
            closing(self.task.batches(self._numbers())) as feed,
            stop_request() as stop,
        ):
            while self.position(self.step).progress < 1.0:
                if number := int(agree(float(stop.signal), self.ranks)):
                    self.save()
                    return Finished("stopped", self.step, self.elapsed, number)
                started = time.perf_counter()
                record = self.train_step(feed)
                self.elapsed += agree(time.perf_counter() - started, self.ranks)
                crops = self.task.batch_crops * self.config.accumulate
                record["crops_per_s"] = crops / (time.perf_counter() - started)
                if log is not None:
                    log.write({"step": self.step, "elapsed": self.elapsed, **record})
                if on_step is not None:
                    progress = self.position(self.step).progress
                    ahead = {"progress": progress, "total_steps": self.total_steps}
                    on_step({"step": self.step, **record, **ahead})
                if self.step % self.save_every == 0:
                    self.save()
        self.save()
        return Finished("complete", self.step, self.elapsed, stop.signal)

    def _log(self) -> AbstractContextManager[RunLog | None]:
        """The first rank's log."""
        if not self.ranks.is_first:
            return nullcontext()
        return closing(RunLog(self.out / LOG, self.step))

    def train_step(self, feed: Iterator[Any]) -> dict[str, Any]:
        """One optimizer step over ``accumulate`` mini-batches; the record for the log."""
        position = self.position(self.step)
        rate = learning_rate(position, self.config.schedule, self.config.optimizer.lr)
        set_learning_rate(self.optimizer, rate)
        self.optimizer.zero_grad(set_to_none=True)
        for left in reversed(range(self.config.accumulate)):
            with self._exchange(now=left == 0):
                try:
                    loss = self.task.loss(self.model, next(feed))
                except FloatingPointError as error:
                    raise self._not_finite(str(error), self.step + 1) from error
                (loss.total / self.config.accumulate).backward()
        if self.config.optimizer.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.config.optimizer.clip_norm)
        self.optimizer.step()
        self.step += 1
        terms = {name: term.item() for name, term in loss.terms.items()}
        more = self.task.after_step(loss, self.step)
        return {"lr": rate, "total": loss.total.item(), **terms, **more}

    def save(self) -> None:
        """Write a checkpoint (first rank only), unless the last update spoilt the weights."""
        model = self.task.model.state_dict()
        if not all(bool(tensor.isfinite().all()) for tensor in model.values()):
            raise self._not_finite("the weights are not finite", self.step)
        self.saved = self.step
        if self.ranks.is_first:
            optimizer, config = self.optimizer.state_dict(), to_mapping(self.config)
            state = Checkpoint(self.step, self.elapsed, config, model, optimizer, self.task.facts())
            save_checkpoint(self.out / "checkpoints", state)

    @property
    def total_steps(self) -> int | None:
        """Steps of the whole run; None under a wall-clock budget."""
        return self.config.total_steps(self.task.examples, self.task.batch_examples)

    def position(self, step: int) -> Position:
        """Where the run stands before optimizer step ``step``."""
        total = self.total_steps
        if total is None:
            assert self.config.budget is not None
            progress = self.elapsed / parse_duration(self.config.budget)
        else:
            progress = step / total
        epoch = step * self._step_examples / self.task.examples
        return Position(step, epoch, min(progress, 1.0))

    @property
    def _step_examples(self) -> int:
        return self.task.batch_examples * self.config.accumulate

    def _numbers(self) -> Iterator[tuple[int, float]]:
        """The number of each mini-batch to come, and the progress at which it is asked for."""
        number = self.step * self.config.accumulate
        while True:
            yield number, self.position(number // self.config.accumulate).progress
            number += 1

    def _exchange(self, now: bool) -> Any:
        """A context: gradients are averaged over ranks in a step's last backward only."""
        if now or not isinstance(self.model, DistributedDataParallel):
            return nullcontext()
        return self.model.no_sync()

    def _not_finite(self, what: str, step: int) -> ShamisaError:
        """What stops a run that diverged, and how to go on."""
        return ShamisaError(f"{what} at step {step}. {self.task.way_out(self.saved)}")


@dataclass
class StopRequest:
    """State: the number of the signal that asked to stop, 0 before."""

    signal: int = 0


@contextmanager
def stop_request() -> Iterator[StopRequest]:
    """A request that SIGINT and SIGTERM make; a second signal stops the process at once.

    Signal handlers belong to the main thread; in any other, nothing is caught.
    """
    requested = StopRequest()
    before: dict[int, Any] = {}

    def restore() -> None:
        while before:
            signal.signal(*before.popitem())

    def handle(number: int, frame: FrameType | None) -> None:
        requested.signal = number
        restore()

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, handle)
    try:
        yield requested
    finally:
        restore()
