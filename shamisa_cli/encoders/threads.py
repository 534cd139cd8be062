"""One thread of torch for each photo: what a CPU with several photos to score does best.

Threads inside a layer wait for the slowest of them after every layer. Beside other programs that is
most of the time: their spin takes the cores that the others need. One photo a thread waits for
nothing. It also makes a score independent of the number of cores, since torch sums in another order
(and takes other routines) with another number of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch computes with one thread in here, and with as many as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def one_thread_each() -> Iterator[Callable[[], None]]:
    """Gives what threads call first, so that torch computes with one thread in each of them.

    The caller's own number stays, but that of its matrix products (MKL knows one number for the
    whole process) is 1 until the end, where all is as before.
    """
    before = torch.get_num_threads()
    try:
        yield lambda: torch.set_num_threads(1)
    finally:
        torch.set_num_threads(before)
