"""Which photos a run sees: a resumed run needs the same ones, wherever they lie by now."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from shamisa_cli.errors import UsageError


def photo_facts(folder: Path, paths: Sequence[Path]) -> dict[str, Any]:
    """Number of the photos, and SHA-256 (hexadecimal) of their ``paths`` below ``folder``.

    The paths decide the order that photos come in, and their number the schedule; where the folder
    lies decides nothing.
    """
    names = sorted(os.fsencode(path.relative_to(folder).as_posix()) for path in paths)
    return {"count": len(names), "sha256": hashlib.sha256(b"\0".join(names)).hexdigest()}


def check_photos(now: dict[str, Any], then: dict[str, Any] | None, folder: Path) -> None:
    """Refuse to resume with other photos than the run began with.

    Parameters
    ----------
    now : :func:`photo_facts` of ``folder``.
    then : those in the checkpoint; None, in an old one, is let through.

    Raises
    ------
    UsageError
        if they differ.
    """
    if then is None or now == then:
        return
    other = "" if now["count"] != then["count"] else " of other names"
    raise UsageError(
        f"{folder} holds {now['count']} photos, and this run began with {then['count']}{other}: "
        "resume with the photos that it began with (--photos), or choose another --out"
    )
