"""What a worker of a cluster does: it gets ready once, and does one task after another."""

from __future__ import annotations

import threading
from typing import Any, NamedTuple

from shamisa_cli.engines.engine import Prepare, Work
from shamisa_cli.errors import kind_and_reason


class Outcome(NamedTuple):
    """What became of a task: a result, or why there is none, and whether its worker got ready."""

    result: Any = None
    error: str = ""
    ready: bool = True


DIED = Outcome(error="its worker died: killed by a signal, for want of memory, or with its machine")

_kept = threading.local()  # work need not be safe in two threads, which a worker of Dask may have


def attempt(run: str, prepare: Prepare, task: Any) -> Outcome:
    """Do ``task`` with what this thread has made ready for ``run``, or makes ready now.

    An error is an outcome too, so it need not be one that can be pickled.
    """
    try:
        work = _work(run, prepare)
    except Exception as error:
        return Outcome(error=kind_and_reason(error), ready=False)
    try:
        return Outcome(work(task))
    except Exception as error:
        return Outcome(error=kind_and_reason(error))


def _work(run: str, prepare: Prepare) -> Work:
    """The work of a run; that of the thread's last one is let go first, as models take memory."""
    if getattr(_kept, "run", None) != run:
        _kept.run = _kept.work = None
        _kept.work, _kept.run = prepare(), run
    return _kept.work
