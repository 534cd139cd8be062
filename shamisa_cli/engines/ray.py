"""Ray: a cluster that runs already, or one on this machine for one run."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shamisa_cli.engines.cluster import run_on
from shamisa_cli.engines.engine import Ended, Prepare
from shamisa_cli.engines.worker import DIED, Outcome, attempt
from shamisa_cli.errors import (
    ShamisaError,
    UsageError,
    first_line,
    kind_and_reason,
    system_reason,
)

AHEAD = 2
"""Tasks that wait at the cluster beside those that run: no worker idles, and an autoscaler sees
that there is more to do."""

STORE_BYTES = 2**27
"""What the workers of a local cluster share: results alone, which are small."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ray:
    """Each task is one of Ray's, with one CPU, and is tried once.

    Tasks rather than actors: Ray places each, puts new workers in the place of dead ones and grows
    the cluster. A worker process still keeps its model, as it does one task after another.

    Parameters
    ----------
    workers : of a local cluster (default: one a core), or tasks at a time on another (as many as
        it has room for).
    address : of a cluster, as ``HOST:PORT`` or ``auto``; else Ray's own ``$RAY_ADDRESS``, and
        without that a local cluster. A cluster that was there is left running, and one that this
        process has joined already is used as it is.
    gpus_per_task : GPUs that a task takes, or the share of one.
    """

    workers: int | None = None
    address: str | None = None
    gpus_per_task: float = 0.0
    name = "ray"

    def run(self, prepare: Prepare, tasks: Iterable[Any]) -> Iterator[Ended]:
        """Yield each of ``tasks`` as it ends."""
        with self._joined() as limit:
            yield from run_on(_Tasks(self.gpus_per_task, limit), prepare, tasks)

    @contextmanager
    def _joined(self) -> Iterator[int | None]:
        """Join a cluster or make one; gives the limit of tasks at a time, if there is one."""
        import ray

        # Ray tells of dead workers on standard output, which is ours, and has no public switch.
        ray._private.worker._worker_logs_enabled = False
        address = self.address or os.environ.get("RAY_ADDRESS")
        if ray.is_initialized():
            yield self.workers
            return
        if address in (None, "", "local"):
            with _local_cluster(self.workers):
                if self.gpus_per_task > _gpus():
                    raise UsageError(
                        f"gpus_per_task is {self.gpus_per_task:g}, and Ray finds {_gpus():g} here"
                    )
                yield None
            return
        try:
            _reach(address)
            ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
        except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
            said = system_reason(error) if isinstance(error, OSError) else first_line(error)
            raise ShamisaError(f"no Ray cluster at {address}: {said}") from error
        try:
            yield self.workers
        finally:
            ray.shutdown()


def open_engine(workers: int | None, address: str | None, gpus_per_task: float) -> Ray:
    """The engine, as the registry asks for it."""
    if workers is not None and workers < 1:
        raise UsageError(f"workers must be at least 1, got {workers}")
    if gpus_per_task < 0:
        raise UsageError(f"gpus_per_task must be at least 0, got {gpus_per_task:g}")
    return Ray(workers, address, gpus_per_task)


class _Tasks:
    """The cluster that was joined; see :class:`~shamisa_cli.engines.cluster.Cluster`."""

    def __init__(self, gpus_per_task: float, limit: int | None) -> None:
        import ray

        self._gpus, self._limit = gpus_per_task, limit
        # Without max_calls Ray ends a worker after each task with a GPU.
        options = ray.remote(num_cpus=1, num_gpus=gpus_per_task, max_calls=0, max_retries=0)
        self._attempt: Any = options(attempt)
        if gpus_per_task > _gpus():
            _log.warning("no GPU for a task (%g): tasks wait for one to join Ray", gpus_per_task)

    def room(self) -> int:
        import ray

        slots = ray.cluster_resources().get("CPU", 0.0)
        if self._gpus:
            slots = min(slots, _gpus() / self._gpus)
        room = int(slots) + AHEAD
        return min(room, self._limit) if self._limit else room

    def give(self, run: str, prepare: Prepare, task: Any) -> Any:
        return self._attempt.remote(run, prepare, task)

    def ended(self, handles: list[Any]) -> list[Any]:
        import ray

        ended, _ = ray.wait(handles, timeout=1)
        return ended

    def outcome(self, handle: Any) -> Outcome:
        import ray

        try:
            return Outcome(*ray.get(handle))
        except (ray.exceptions.WorkerCrashedError, ray.exceptions.NodeDiedError):
            return DIED
        except Exception as error:  # no shamisa there, say
            cause = getattr(error, "cause", None) or error
            return Outcome(error=kind_and_reason(cause), ready=False)

    def cancel(self, handles: list[Any]) -> None:
        import ray

        for handle in handles:
            with suppress(ray.exceptions.RayError):
                ray.cancel(handle, force=True)


def _reach(address: str) -> None:
    """Refuse an address where nothing listens: Ray itself tries it for some minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdecimal() and "/" not in host:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()


def _gpus() -> float:
    """GPUs of the cluster, as it is now."""
    import ray

    return ray.cluster_resources().get("GPU", 0.0)


@contextmanager
def _local_cluster(workers: int | None) -> Iterator[None]:
    """A cluster on this machine, without dashboard; its folder goes with it.

    Since 2.59 Ray asks for a token and writes one into the home folder. Here it is a variable of
    this process and its children, unless the user has one.
    """
    import ray

    kept = Path.home() / ".ray" / "auth_token"
    if "RAY_AUTH_TOKEN_PATH" not in os.environ and not kept.exists():
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    short = "/tmp" if os.name == "posix" else None  # the paths of sockets have at most 107 bytes
    with tempfile.TemporaryDirectory(
        prefix="shamisa-ray-", dir=short, ignore_cleanup_errors=True
    ) as folder:
        try:
            ray.init(
                "local",
                num_cpus=workers,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                object_store_memory=STORE_BYTES,
                _temp_dir=folder,
            )
            yield
        finally:
            ray.shutdown()
