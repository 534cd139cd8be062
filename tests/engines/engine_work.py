"""Work for tests of engines, which workers import."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any


def prepare() -> Any:
    """Gets ready at once."""
    return work


def prepare_once(folder: Path) -> Any:
    """Leaves a file for each time that it is called."""
    (folder / f"prepared-{os.getpid()}").touch(exist_ok=False)
    return work


def cannot_prepare() -> Any:
    """Is not made ready."""
    raise ValueError("no such model")


def dies_early() -> Any:
    """Takes its worker with it before that is ready."""
    os.kill(os.getpid(), signal.SIGKILL)


def work(task: Any) -> Any:
    """Does what the first word of a task says."""
    kind, value = task
    if kind == "fail":
        raise ValueError(f"cannot do {value}\nsecond line")
    if kind == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "exit":
        os._exit(7)
    if kind == "sleep":
        Path(value).write_text(str(os.getpid()))
        time.sleep(60)
    return value * value
