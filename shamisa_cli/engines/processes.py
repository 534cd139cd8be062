"""The engine ``processes``: workers on this machine, each a process of its own."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from multiprocessing.connection import Connection, wait
from types import FrameType
from typing import Any

from shamisa_cli.engines.engine import Ended, Prepare
from shamisa_cli.errors import ShamisaError, UsageError, kind_and_reason

_READY, _DONE, _FAILED = "ready", "done", "failed"
_MOST_FALSE_STARTS = 3
"""Workers in a row that may die before they are ready."""
_PATIENCE = 5.0
"""s that a worker has to end by itself."""


class Processes:
    """Runs tasks in processes of this machine; see :class:`~shamisa_cli.engines.engine.Engine`.

    A worker is a new interpreter, so that threads and locks of the caller do no harm. It ends with
    the caller, however that ends.

    Parameters
    ----------
    workers : processes at a time; None is one for each core.
    """

    name = "processes"

    def __init__(self, workers: int | None = None) -> None:
        if workers is not None and workers < 1:
            raise UsageError(f"workers must be at least 1, got {workers}")
        self.workers = workers or os.cpu_count() or 1

    def run(self, prepare: Prepare, tasks: Iterable[Any]) -> Iterator[Ended]:
        """Yield each of ``tasks`` as it ends.

        Raises
        ------
        ShamisaError
            if workers cannot be made ready at all.
        """
        crew = _Crew(prepare, self.workers, iter(tasks))
        try:
            yield from crew.work()
        finally:
            crew.stop()


class _Worker:
    """A process, our end of its pipe, and the task that it has."""

    def __init__(self, prepare: Prepare, task: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(prepare, theirs), daemon=True)
        self.process.start()
        theirs.close()  # so that its end is the end of the pipe
        self.task = task
        self.ready = False

    def death(self) -> str:
        """How the process ended, once its pipe is closed."""
        self.process.join(_PATIENCE)
        code = self.process.exitcode
        if code is not None and code < 0:
            name = signal.Signals(-code).name if -code in list(signal.Signals) else str(-code)
            hint = "; the system kills what takes too much memory" if name == "SIGKILL" else ""
            return f"its worker was killed by {name}{hint}"
        return f"its worker ended with exit code {code}"


class _Crew:
    """The workers of a run. State: who there is, with which task, and which tasks wait."""

    def __init__(self, prepare: Prepare, size: int, tasks: Iterator[Any]) -> None:
        self._prepare, self._size, self._tasks = prepare, size, tasks
        self._workers: dict[Connection, _Worker] = {}
        self._given_back: list[Any] = []
        self._false_starts = 0

    def work(self) -> Iterator[Ended]:
        """Yield each task as it ends."""
        self._fill()
        while self._workers:
            for connection in wait(list(self._workers)):
                assert isinstance(connection, Connection)
                worker = self._workers[connection]
                try:
                    kind, content = connection.recv()
                except (EOFError, OSError):
                    yield from self._bury(worker)
                    continue
                if kind == _READY:
                    worker.ready, self._false_starts = True, 0
                    self._send(worker)
                    continue
                if not worker.ready:
                    raise ShamisaError(f"a worker could not be made ready: {content}")
                yield _ended(worker.task, kind, content)
                self._give_next(worker)

    def stop(self) -> None:
        """End all workers, whatever they do."""
        for worker in self._workers.values():
            worker.process.terminate()
        for worker in self._workers.values():
            worker.process.join(_PATIENCE)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.connection.close()
        self._workers.clear()

    def _fill(self) -> None:
        """Start workers, as many as there are tasks and room for."""
        while len(self._workers) < self._size:
            found = self._next()
            if not found:
                return
            worker = _Worker(self._prepare, found[0])
            self._workers[worker.connection] = worker

    def _next(self) -> list[Any]:
        """The next task, in a list; an empty one if there is none."""
        if self._given_back:
            return [self._given_back.pop()]
        return list(islice(self._tasks, 1))

    def _give_next(self, worker: _Worker) -> None:
        found = self._next()
        if found:
            worker.task = found[0]
            self._send(worker)
        else:
            self._dismiss(worker)

    def _send(self, worker: _Worker) -> None:
        with contextlib.suppress(OSError):  # it died: its pipe says so next
            worker.connection.send(worker.task)

    def _dismiss(self, worker: _Worker) -> None:
        """Let a worker end: there is no task for it."""
        del self._workers[worker.connection]
        worker.connection.close()
        worker.process.join(_PATIENCE)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()

    def _bury(self, worker: _Worker) -> Iterator[Ended]:
        """A worker died: with its task, or before it had begun."""
        del self._workers[worker.connection]
        worker.connection.close()
        reason = worker.death()
        if worker.ready:
            yield Ended(worker.task, error=reason)
        else:
            self._given_back.append(worker.task)
            self._false_starts += 1
            if self._false_starts >= _MOST_FALSE_STARTS:
                raise ShamisaError(
                    f"{self._false_starts} workers died before they were ready ({reason}); "
                    "try fewer workers"
                )
        self._fill()


def _ended(task: Any, kind: str, content: Any) -> Ended:
    return Ended(task, result=content) if kind == _DONE else Ended(task, error=content)


def _serve(prepare: Prepare, connection: Connection) -> None:
    """What a worker does: it gets ready, then does a task after the other until the pipe ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the caller's to handle
    signal.signal(signal.SIGTERM, _leave)
    threading.Thread(target=_end_with_caller, daemon=True).start()
    try:
        work = prepare()
    except Exception as error:
        connection.send((_FAILED, kind_and_reason(error)))
        return
    with contextlib.suppress(EOFError, OSError):
        connection.send((_READY, None))
        while True:
            task = connection.recv()
            try:
                answer = (_DONE, work(task))
            except Exception as error:
                answer = (_FAILED, kind_and_reason(error))
            connection.send(answer)


def _leave(number: int, frame: FrameType | None) -> None:
    """Undo what is half done, and end."""
    sys.exit(128 + number)


def _end_with_caller() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_PATIENCE)
        os._exit(1)
