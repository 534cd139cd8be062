"""What Ray and Dask have in common: no more tasks are given to a cluster than it has room for."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Protocol

from shamisa_cli.engines.engine import Ended, Prepare
from shamisa_cli.engines.worker import Outcome
from shamisa_cli.errors import ShamisaError


class Cluster(Protocol):
    """Workers that :func:`attempt` tasks; each given task is known by a handle."""

    def room(self) -> int:
        """How many tasks it can be given in all, now: those that run, and a few that wait."""

    def give(self, run: str, prepare: Prepare, task: Any) -> Any:
        """Have a task attempted once. Gives its handle, which can be hashed."""

    def ended(self, handles: list[Any]) -> list[Any]:
        """Those that have ended. Waits for one, but about a second at most, as room may grow."""

    def outcome(self, handle: Any) -> Outcome:
        """What became of a task that has ended; of a worker that died, too."""

    def cancel(self, handles: list[Any]) -> None:
        """Let tasks be, and end those that run if it can."""


def run_on(cluster: Cluster, prepare: Prepare, tasks: Iterable[Any]) -> Iterator[Ended]:
    """Yield each task as it ends. Tasks are taken as there is room for them.

    Raises
    ------
    ShamisaError
        if the first worker to answer could not be made ready: neither will others. Once one was,
        such a worker fails its task alone.
    """
    given: dict[Any, Any] = {}
    run, left, ready = uuid.uuid4().hex, iter(tasks), False
    try:
        while True:
            # One at least, even where all workers have died: the next one finds it.
            for task in islice(left, max(0, max(1, cluster.room()) - len(given))):
                given[cluster.give(run, prepare, task)] = task
            if not given:
                return
            for handle in cluster.ended(list(given)):
                outcome = cluster.outcome(handle)
                ready = ready or outcome.ready
                if not ready:
                    raise ShamisaError(f"a worker could not be made ready: {outcome.error}")
                yield Ended(given.pop(handle), outcome.result, outcome.error)
    finally:
        cluster.cancel(list(given))
