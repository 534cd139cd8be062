"""The log for TensorBoard, where it is installed (``pip install "shamisa[tensorboard]"``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def tensorboard_writer(
    out: Path, first_step: int
) -> Iterator[Callable[[dict[str, Any]], None] | None]:
    """A function that writes one log record under ``out``/tensorboard; None without TensorBoard.

    ``first_step`` is the first step to come: what an interrupted run wrote from there on is taken
    back, so that a curve has each step once.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        yield None
        return
    with SummaryWriter(str(out / "tensorboard"), purge_step=first_step) as writer:

        def write(record: dict[str, Any]) -> None:
            for key, value in scalars(record).items():
                writer.add_scalar(key, value, record["step"])

        yield write


def scalars(record: dict[str, Any]) -> dict[str, float]:
    """The numbers of a record by tag; those in a table get tags such as ``alpha/knn``."""
    flat: dict[str, float] = {}
    for key, value in record.items():
        if isinstance(value, dict):
            flat |= {f"{key}/{name}": number for name, number in value.items()}
        elif isinstance(value, (int, float)) and key != "step":
            flat[key] = value
    return flat
