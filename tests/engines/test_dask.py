"""The engine Dask, on a cluster of its own; tests/sharding has it on one that was there."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import cluster_work
import pytest

from shamisa_cli.engines.dask import Dask, _Tasks
from shamisa_cli.engines.registry import open_engine
from shamisa_cli.errors import ShamisaError, UsageError

distributed = pytest.importorskip("distributed", reason="Dask is not installed")


class Counted:
    """Tasks, and how many were taken."""

    def __init__(self, tasks: list[tuple[str, float]]) -> None:
        self.tasks, self.count = tasks, 0

    def __iter__(self) -> Iterator[tuple[str, float]]:
        for task in self.tasks:
            self.count += 1
            yield task


def test_a_local_cluster(tmp_path: Path) -> None:
    """Tasks that end their worker are failed alone; a worker killed from outside fails its task."""
    tasks = [*(("square", n) for n in range(8)), *(("nap", n / 100) for n in range(20))]
    tasks[1:1] = list(cluster_work.BAD)
    run = Dask(workers=2).run(partial(cluster_work.prepare_once, tmp_path), taken := Counted(tasks))
    ended = [next(run)]
    assert taken.count <= 3
    killed: set[int] = set()
    for each in run:
        ended.append(each)
        if each.task[0] == "nap" and each.result and not killed:
            killed.add(each.result)
            os.kill(each.result, signal.SIGKILL)
    assert sorted(each.task for each in ended) == sorted(tasks)
    failed = {each.task: each.error for each in ended if each.error}
    for task, error in cluster_work.BAD.items():
        assert error in failed.pop(task)
    assert killed
    assert len(failed) <= 1  # what the killed worker had, if anything
    assert all("its worker died" in error for error in failed.values())
    assert all(each.result == each.task[1] ** 2 for each in ended if each.task[0] == "square")
    assert len(list(tmp_path.iterdir())) <= 2 + 2  # workers, and those in the place of dead ones


def test_what_dask_cannot_do_is_refused() -> None:
    dask = pytest.importorskip("dask")
    with pytest.raises(UsageError, match="gpus_per_task is for the engine ray"):
        open_engine("dask", gpus_per_task=1)
    with pytest.raises(UsageError, match="workers must be at least 1"):
        open_engine("dask", workers=-1)
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "200ms"}),
        pytest.raises(ShamisaError, match=r"no Dask scheduler at tcp://127\.0\.0\.1:1: Timed out"),
    ):
        list(open_engine("dask", address="tcp://127.0.0.1:1").run(cluster_work.prepare, [1]))


class Scheduler:
    """What a client says of the workers."""

    def __init__(self) -> None:
        self.threads: dict[str, int] = {}

    def nthreads(self) -> dict[str, int]:
        return self.threads


def test_a_run_ends_where_no_worker_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("shamisa_cli.engines.dask.time.monotonic", lambda: now)
    scheduler = Scheduler()
    tasks = _Tasks(scheduler, 2, None, 60.0)
    assert tasks.room() == 2  # they may be on their way
    now += 59
    scheduler.threads = {"a": 1, "b": 4}
    assert tasks.room() == 7
    now += 59
    scheduler.threads = {}
    assert tasks.room() == 2
    now += 60
    with pytest.raises(ShamisaError, match="no worker for 60 s"):
        tasks.room()
