"""How far something is, shown on a terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tqdm import tqdm


def progress_bar(
    total: int | None, what: str = "", *, unit: str = "photo", initial: int = 0, quiet: bool = False
) -> tqdm:
    """A bar of ``total``, ``initial`` done, on standard error if that is a terminal."""
    from tqdm import tqdm

    return tqdm(total=total, desc=what, unit=unit, initial=initial, disable=quiet or None)


def say_skipped(error: Exception) -> None:
    """Say on standard error why a photo was left out, clear of any bar."""
    from tqdm import tqdm

    tqdm.write(f"skipped {error}", file=sys.stderr)
