"""Mini-batches ahead of the model, made by worker processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Generator, Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from shamisa_cli.seeds import derived_seed, generator


def shuffled_order(size: int, start: int, count: int, seed: int, stream: int) -> list[int]:
    """Items at places start … start+count-1 of an endless run of shuffled epochs of ``size``."""
    places = range(start, start + count)
    shuffled = {
        epoch: torch.randperm(size, generator=generator(seed, stream, epoch)).tolist()
        for epoch in {place // size for place in places}
    }
    return [shuffled[place // size][place % size] for place in places]


def made_ahead(
    dataset: Dataset, keys: Iterator[Any], workers: int, seed: int
) -> Generator[Any, None, None]:
    """``dataset[key]`` for each of ``keys``, in order, made by ``workers`` processes (0: here).

    Close the generator when done: its workers end with it. They also end when this process dies,
    however it dies.
    """
    loader = DataLoader(
        dataset,
        sampler=keys,
        batch_size=None,
        num_workers=workers,
        prefetch_factor=2 if workers else None,
        generator=torch.Generator().manual_seed(derived_seed(seed)),
        worker_init_fn=_start_worker,
    )
    yield from loader


def _start_worker(worker: int) -> None:
    """Leave signals to the parent, and end with it.

    Signals may reach the whole process group: the parent then saves, and ends its workers.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """DataLoader itself looks for the parent only between two mini-batches."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
