"""How far something is, shown on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Progress(Protocol):
    """Shows how far something is: ``with progress(total, "what") as advance: advance(1)``."""

    def __call__(
        self, total: int, what: str
    ) -> AbstractContextManager[Callable[[int], object]]: ...


def progress_bar(quiet: bool) -> Progress:
    """A bar on standard error if that is a terminal, unless ``quiet``."""

    @contextmanager
    def bar(total: int, what: str) -> Iterator[Callable[[int], object]]:
        from tqdm import tqdm

        with tqdm(total=total, desc=what, unit="photo", disable=quiet or None) as shown:
            yield shown.update

    return bar


def say_skipped(error: Exception) -> None:
    """Why a photo was left out, on standard error, clear of any bar."""
    from tqdm import tqdm

    tqdm.write(f"skipped {error}", file=sys.stderr)
