"""What an engine is: it runs one function over many tasks, and knows nothing of photos."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

Work = Callable[[Any], Any]
"""Does one task and gives its result; both can be pickled, and are small."""

Prepare = Callable[[], Work]
"""Makes a worker ready, once (it loads the model, say), and gives the worker's function. It can be
pickled."""


@dataclass(frozen=True)
class Ended:
    """A task that ended.

    Attributes
    ----------
    task : as it was given.
    result : what the work gave; None if it failed.
    error : why it failed, in one line: the error that the work raised, or that its worker died.
        Empty if it did not.
    """

    task: Any
    result: Any = None
    error: str = ""


class Engine(Protocol):
    """Runs tasks on workers. It tries each task once: whoever asks for it decides about another.

    ``run`` takes tasks as workers become free and yields each once, as it ends, in any order. A
    task that raises, or that takes its worker with it, ends with an ``error``; a new worker takes
    the place of one that died, and the rest goes on. Closing the iterator stops the workers.
    """

    name: str

    def run(self, prepare: Prepare, tasks: Iterable[Any]) -> Iterator[Ended]: ...
