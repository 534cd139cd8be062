"""The log of a run: one JSON object a line, whole even when the run is killed; and TensorBoard."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from shamisa_cli.errors import UsageError, system_reason
from shamisa_cli.files import locked, replacing, write_whole
from shamisa_cli.training.checkpoint import writing

LOG = "log.jsonl"


@contextmanager
def alone_in(out: Path) -> Iterator[None]:
    """Keep other runs out of the folder ``out``, which is made; they get a UsageError."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{out}: cannot be written: {system_reason(error)}") from error
    with locked(out / LOG):
        yield


class RunLog:
    """Appends records to ``log.jsonl``. State: the open file.

    On resume, records past the checkpoint's step are dropped, so that a curve has each step once.

    Raises
    ------
    ShamisaError
        here and in :meth:`write`, if the file cannot be written, as on a full disk.
    """

    def __init__(self, path: Path, last_step: int) -> None:
        self.path = path
        kept = [record for record in read_log(path) if record["step"] <= last_step]
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as part:
                text = "".join(json.dumps(record) + "\n" for record in kept)
                part.write_text(text, encoding="utf-8")
            self.file: BinaryIO = path.open("ab", buffering=0)

    def write(self, record: dict[str, Any]) -> None:
        """Append one record and hand it to the system; all of it, or nothing."""
        with writing(self.path):
            end = self.file.seek(0, os.SEEK_END)
            write_whole(self.file, end, json.dumps(record).encode() + b"\n")

    def close(self) -> None:
        """Close the file."""
        self.file.close()


def read_log(path: Path) -> list[dict[str, Any]]:
    """The whole records of a log; a torn last line is left out."""
    if not path.is_file():
        return []
    records = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            records.append(json.loads(line))
        except ValueError:
            break
    return records


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
