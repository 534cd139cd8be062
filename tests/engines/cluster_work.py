"""Work for tests of clusters: that of the other engines, and some that tells its worker."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import engine_work


def prepare() -> Any:
    """Gets ready at once."""
    return work


def prepare_once(folder: Path) -> Any:
    """Leaves a file for each time that it is called."""
    engine_work.prepare_once(folder)
    return work


def work(task: Any) -> Any:
    """``("nap", s)`` gives the process; others as :func:`engine_work.work` has them."""
    kind, value = task
    if kind == "nap":
        time.sleep(value)
        return os.getpid()
    return engine_work.work(task)


BAD = {
    ("kill", 0): "its worker died",
    ("fail", 3): "ValueError: cannot do 3",
}
"""Tasks that fail, and how."""
