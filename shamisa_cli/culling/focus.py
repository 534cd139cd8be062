"""Focus stacks: the same picture, of which another part is sharp in every frame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import uniform_filter

from shamisa_cli.culling.frames import Frame, Look
from shamisa_cli.culling.registration import Shift

RATIO = 2.0
"""How much more fine detail a part has in one of two frames than in the other."""

SHARE = 0.05
"""Of the textured picture: as much is sharper in the first frame, and as much in the second."""

_STILL = 0.05
"""Of the picture's side: a camera on a stand, or held still."""

_POOL = 8
"""Cells, over which detail is averaged: frames need not lie exactly on each other."""


def is_focus_stack(frames: Sequence[Frame], looks: Sequence[Look], shifts: Sequence[Shift]) -> bool:
    """Whether the focus moves through ``frames``, which are in order and of one scene.

    Either EXIF's subject distance goes one way through three frames or more of a still camera, or
    the first and the last frame each have a part that is sharper than in the other.

    Parameters
    ----------
    shifts : of each frame against the one before it.
    """
    if len(frames) >= 3 and all(shift.moved <= _STILL for shift in shifts):
        distances = [frame.capture.distance for frame in frames]
        known = np.array([np.nan if each is None else each for each in distances])
        steps = np.diff(np.log(known))
        if bool((steps > 0.01).all() or (steps < -0.01).all()):
            return True
    down, right = (sum(getattr(shift, side) for shift in shifts) for side in ("down", "right"))
    return focus_moved(looks[0], looks[-1], Shift(down, right, 1.0))


def focus_moved(first: Look, last: Look, shift: Shift) -> bool:
    """Whether each of two frames has a part that is sharper than in the other, down and across.

    Two frames that were shaken in two directions have such parts in one direction only.
    """
    a, b = _shared(first.energy, last.energy, shift)
    if min(a.shape[1:]) < 2 * _POOL:
        return False
    size = (1, _POOL, _POOL)
    a, b = (uniform_filter(x.astype(np.float64), size) + 1e-6 for x in (a, b))
    most = np.maximum(a, b).sum(0)
    textured = most >= 0.25 * most.mean()
    ratio = np.log2(a / b)[:, textured]
    limit = np.log2(RATIO)
    sharper = [(each.min(0) >= limit).mean() for each in (ratio, -ratio)]
    return bool(min(sharper) >= SHARE)


def _shared(first: np.ndarray, last: np.ndarray, shift: Shift) -> tuple[np.ndarray, np.ndarray]:
    """The parts of two maps of cells that show the same, once ``shift`` is undone."""
    h, w = np.minimum(first.shape, last.shape)[1:]
    down, right = round(shift.down * h), round(shift.right * w)
    rows = slice(max(0, -down), max(0, h - max(0, down)))
    columns = slice(max(0, -right), max(0, w - max(0, right)))
    a = first[:, rows, columns]
    b = last[:, max(0, down) :, max(0, right) :]
    h, w = np.minimum(a.shape, b.shape)[1:]
    return a[:, :h, :w], b[:, :h, :w]
