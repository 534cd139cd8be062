"""A model's own protocol with what the user asked to be otherwise."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from shamisa_cli.encoders.config import ViewingProtocol
from shamisa_cli.errors import UsageError


def adapt_protocol(
    protocol: ViewingProtocol,
    *,
    short_side: int | None = None,
    max_side: int | None = None,
    native: bool = False,
    crops: Literal["five", "whole"] | None = None,
) -> ViewingProtocol:
    """``protocol`` with another viewing size, or other crops.

    Parameters
    ----------
    short_side, max_side : px, the photo is shrunk until that side is at most as long.
    native : score at native size, in tiles that cover the photo.
    crops : ``five`` or ``whole``.

    Raises
    ------
    UsageError
        for more than one of ``short_side``, ``max_side`` and ``native``, for ``native`` together
        with ``crops``, and for sizes or crops that cannot be.
    """
    asked = {"--short-side": short_side, "--max-side": max_side, "--native": native or None}
    given = [option for option, value in asked.items() if value is not None]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} exclude each other: give one viewing size")
    if native and crops is not None:
        raise UsageError("--native looks at all of a photo in tiles; leave --crops out")
    if crops not in (None, "five", "whole"):
        raise UsageError(f"unknown crops {crops!r}: expected five or whole")
    for option, side in (("--short-side", short_side), ("--max-side", max_side)):
        if side is not None and side < 1:
            raise UsageError(f"{option} must be at least 1 px, got {side}")
    if native:
        return replace(protocol, short_side=None, max_side=None, crops="tiles")
    if given:
        protocol = replace(protocol, short_side=short_side, max_side=max_side)
    return protocol if crops is None else replace(protocol, crops=crops)
