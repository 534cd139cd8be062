"""How far something is, shown on a terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tqdm import tqdm


def progress_bar(
    total: int | None, what: str = "", *, unit: str = "photo", initial: int = 0, quiet: bool = False
) -> tqdm:
    """A bar on standard error if that is a terminal, unless ``quiet``.

    Parameters
    ----------
    total : how many there are; None if that is not known.
    what : stands before the bar.
    initial : how many are done already.
    """
    from tqdm import tqdm

    return tqdm(total=total, desc=what, unit=unit, initial=initial, disable=quiet or None)


def say_skipped(error: Exception) -> None:
    """Say on standard error why a photo was left out, clear of any bar."""
    from tqdm import tqdm

    tqdm.write(f"skipped {error}", file=sys.stderr)
