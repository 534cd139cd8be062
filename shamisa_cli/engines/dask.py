"""Dask: a scheduler that runs already, or processes of this machine for one run."""

from __future__ import annotations

import logging
import os
import signal
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

from shamisa_cli.engines.cluster import run_on
from shamisa_cli.engines.engine import Ended, Prepare
from shamisa_cli.engines.worker import DIED, Outcome, attempt
from shamisa_cli.errors import ShamisaError, UsageError, first_line, kind_and_reason

AHEAD = 2
"""Tasks that wait at a scheduler that was there, beside those that run: it may grow for them."""

PATIENCE, LOCAL_PATIENCE = 900.0, 60.0
"""s without any worker after which a run ends; a scheduler that was there may be getting machines.
"""

LOCAL = {
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.profile.enabled": False,
}
"""What a local worker need not do: to keep back when its model takes much memory (it is ended when
it takes too much), and to watch each of its calls, which takes time."""


@dataclass(frozen=True)
class Dask:
    """Each task is one of Dask's, on one thread.

    When a worker dies, Dask blames all tasks that it had, those that only waited there too. So the
    local cluster is given a task when a thread is free, and allows no failure: a death ends one
    task. A scheduler that was there has its own ``allowed-failures`` (by default 3): it tries a
    task on so many more workers before it gives up, which spares most of those that waited.

    Parameters
    ----------
    workers : of a local cluster (default: one a core), or tasks at a time on another (as many as
        it has room for).
    address : of a scheduler, as ``tcp://HOST:PORT``; else Dask's own ``scheduler-address`` (or
        ``$DASK_SCHEDULER_ADDRESS``), and without that a local cluster. A scheduler that was there
        is left running. Its workers end the tasks that they have begun, as threads cannot be
        stopped.
    """

    workers: int | None = None
    address: str | None = None
    name = "dask"

    def run(self, prepare: Prepare, tasks: Iterable[Any]) -> Iterator[Ended]:
        """Yield each of ``tasks`` as it ends."""
        import dask
        from distributed import Client
        from distributed.comm.core import CommClosedError

        address = self.address or dask.config.get("scheduler-address", None)
        if not address:
            with _local_cluster(self.workers) as cluster, Client(cluster) as client:
                yield from run_on(_Tasks(client, 0, None, LOCAL_PATIENCE), prepare, tasks)
            return
        try:
            joined = Client(address)
        except (OSError, ValueError) as error:
            raise ShamisaError(f"no Dask scheduler at {address}: {first_line(error)}") from error
        try:
            with joined as client:
                yield from run_on(_Tasks(client, AHEAD, self.workers, PATIENCE), prepare, tasks)
        except (CommClosedError, CancelledError) as error:
            raise ShamisaError(f"the Dask scheduler at {address} is gone") from error


def open_engine(workers: int | None, address: str | None, gpus_per_task: float) -> Dask:
    """The engine, as the registry asks for it."""
    if workers is not None and workers < 1:
        raise UsageError(f"workers must be at least 1, got {workers}")
    if gpus_per_task:
        raise UsageError("gpus_per_task is for the engine ray; give each worker of Dask its GPU")
    return Dask(workers, address)


class _Tasks:
    """The scheduler of a client; see :class:`~shamisa_cli.engines.cluster.Cluster`."""

    def __init__(self, client: Any, ahead: int, limit: int | None, patience: float) -> None:
        self._client, self._ahead, self._limit = client, ahead, limit
        self._patience, self._alone_since = patience, 0.0
        self._numbers = count()

    def room(self) -> int:
        threads = sum(self._client.nthreads().values())
        self._check_workers(threads)
        room = threads + self._ahead
        return min(room, self._limit) if self._limit else room

    def _check_workers(self, threads: int) -> None:
        """Refuse to wait for ever where all workers are gone."""
        now = time.monotonic()
        self._alone_since = self._alone_since or now
        if threads:
            self._alone_since = 0.0
        elif now - self._alone_since >= self._patience:
            raise ShamisaError(f"Dask has had no worker for {self._patience:.0f} s; start some")

    def give(self, run: str, prepare: Prepare, task: Any) -> Any:
        key = f"shamisa-{run}-{next(self._numbers)}"
        return self._client.submit(attempt, run, prepare, task, key=key)

    def ended(self, handles: list[Any]) -> list[Any]:
        from distributed import TimeoutError, wait

        try:
            return list(wait(handles, timeout=1, return_when="FIRST_COMPLETED").done)
        except TimeoutError:
            return []

    def outcome(self, handle: Any) -> Outcome:
        from distributed import KilledWorker

        try:
            return Outcome(*handle.result())
        except KilledWorker:
            return DIED
        except Exception as error:  # no shamisa there, say
            return Outcome(error=kind_and_reason(error.__cause__ or error), ready=False)

    def cancel(self, handles: list[Any]) -> None:
        self._client.cancel(handles)


@contextmanager
def _local_cluster(workers: int | None) -> Iterator[Any]:
    """Processes on this machine, without dashboard; their folder goes with them.

    One that takes 95 % of its share of the memory is ended, and its task with it.
    """
    import dask
    from distributed import LocalCluster

    # Dask's workers give memory back to the system so often that a photo takes half as long again.
    keep_memory = {"distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None}
    with (
        dask.config.set(keep_memory),
        tempfile.TemporaryDirectory(prefix="shamisa-dask-", ignore_cleanup_errors=True) as folder,
        LocalCluster(
            n_workers=workers or os.cpu_count(),
            threads_per_worker=1,
            dashboard_address="127.0.0.1:0",  # None is 8787, which another may have
            silence_logs=logging.CRITICAL,
            scheduler_kwargs={
                "allowed_failures": 0,
                "dashboard": False,
                "local_directory": folder,
            },
            local_directory=folder,
            preload=[__name__],
            config=LOCAL,
        ) as cluster,
    ):
        yield cluster


def dask_setup(worker: Any) -> None:
    """What a local worker does as it starts: Ctrl-C is for the driver, which ends its workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
