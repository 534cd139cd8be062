"""Checkpoints: whole or not there at all, whatever kills the run (write, fsync, rename)."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from shamisa_cli.errors import ShamisaError, WeightsError, first_line, system_reason

TENSORS, STATE = "state.safetensors", "state.json"
KEPT = 2
"""So many of the newest checkpoints stay."""


@dataclass(frozen=True)
class Checkpoint:
    """All that a run needs to go on as if it had not stopped.

    Attributes
    ----------
    step : optimizer steps done.
    elapsed : seconds of training done.
    config : the resolved configuration, as a plain mapping.
    model : state dict of everything that is trained, float32.
    optimizer : state dict of the optimizer.
    facts : what else the task needs to go on, as a plain mapping.
    """

    step: int
    elapsed: float
    config: dict[str, Any]
    model: dict[str, Tensor]
    optimizer: dict[str, Any]
    facts: dict[str, Any]


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a system's refusal to write ``path``, as on a full disk, into a ShamisaError."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        reason = system_reason(error) if isinstance(error, OSError) else first_line(error)
        raise ShamisaError(
            f"{path}: cannot be written ({reason}); make room, then resume the run"
        ) from error


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write ``folder``/step-NNNNNNNN; it has its name only once all of it is on the disk.

    Raises
    ------
    ShamisaError
        if it cannot be written, as on a full disk; nothing of it is left.
    """
    final = folder / f"step-{checkpoint.step:08d}"
    if (final / STATE).is_file():
        return final
    temporary = folder / f".{final.name}.{os.getpid()}"
    for unfinished in folder.glob(".step-*"):  # of a process that was killed while it wrote
        shutil.rmtree(unfinished, ignore_errors=True)
    try:
        with writing(final):
            temporary.mkdir(parents=True)
            _write(temporary, checkpoint)
            if final.exists():  # without its state, so of no use
                shutil.rmtree(final)
            temporary.rename(final)
            _fsync(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    for old in checkpoints(folder)[:-KEPT]:
        shutil.rmtree(old)
    return final


def _write(folder: Path, checkpoint: Checkpoint) -> None:
    """Write the files of a checkpoint into ``folder``, down to the disk."""
    tensors = {f"model/{key}": value for key, value in checkpoint.model.items()}
    scalars: dict[str, dict[str, Any]] = {}
    for index, entries in checkpoint.optimizer["state"].items():
        for key, value in entries.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer/{index}/{key}"] = value
            else:
                scalars.setdefault(str(index), {})[key] = value
    save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, folder / TENSORS)
    state = {
        "step": checkpoint.step,
        "elapsed": checkpoint.elapsed,
        "config": checkpoint.config,
        "optimizer_scalars": scalars,
        "optimizer_groups": checkpoint.optimizer["param_groups"],
        "facts": checkpoint.facts,
    }
    (folder / STATE).write_text(json.dumps(state, indent=1), encoding="utf-8")
    for path in (folder / TENSORS, folder / STATE, folder):
        _fsync(path)


def checkpoints(folder: Path) -> list[Path]:
    """The whole checkpoints in ``folder``, oldest first."""
    return sorted(p for p in folder.glob("step-*") if (p / STATE).is_file())


def load_checkpoint(path: Path) -> Checkpoint:
    """Read one checkpoint; a damaged one is a WeightsError that says which file."""
    try:
        state = json.loads((path / STATE).read_text(encoding="utf-8"))
        entries: dict[int, dict[str, Any]] = {
            int(index): dict(values) for index, values in state["optimizer_scalars"].items()
        }
        model: dict[str, Tensor] = {}
        for key, value in load_file(path / TENSORS).items():
            kind, rest = key.split("/", 1)
            if kind == "model":
                model[rest] = value
            else:
                index, name = rest.split("/", 1)
                entries.setdefault(int(index), {})[name] = value
        optimizer = {"state": entries, "param_groups": state["optimizer_groups"]}
        return Checkpoint(
            state["step"], state["elapsed"], state["config"], model, optimizer, state["facts"]
        )
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise WeightsError(
            f"{path}: damaged checkpoint ({error}); remove it to resume from an older one"
        ) from error


def _fsync(path: Path) -> None:
    if os.name == "nt":  # opens no folder, and syncs only files that are open for writing
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
