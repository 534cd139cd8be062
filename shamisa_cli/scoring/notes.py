"""Why a score is to be trusted less than others, in words: the column ``note``."""

from __future__ import annotations

import numpy as np
from PIL import Image

SMOOTH = 6.7
"""Gray levels: below it is the mean gradient of the smoothest quarter of the 650 photos of LIVE In
the Wild that were at hand, whose shorter side is 500 px or so. Their scores are off by 11.3 points
on average, those of the others by 7.9 (head ``clive`` of ``lite0``, each photo judged by a ridge
that had not seen it)."""

STRANGE = 1.35
"""Uncertainty over that of a photo like those of the fit. 13 in 100 of these photos reach it with
``duo``, 8 with ``lite0``, 3 with ``fast``; of 110 good photos none. That errors are larger there is
not shown: on unseen photos the two hardly go together.
"""


def note_of(gradient: float | None, strangeness: float | None, *, padded: bool) -> str:
    """The note of a photo; empty if there is nothing to say.

    Parameters
    ----------
    gradient : its :func:`mean_gradient`; None if it was not measured.
    strangeness : see :class:`~shamisa_cli.models.head.HeadScore`.
    padded : whether it is smaller than what the model looks at.
    """
    reasons = ["smaller than the model looks at"] if padded else []
    if gradient is not None and gradient < SMOOTH:
        reasons.append("mostly smooth, where scores are less sure")
    if strangeness is not None and strangeness >= STRANGE:
        reasons.append("unlike the photos of the fit")
    return "; ".join(reasons)


def mean_gradient(picture: Image.Image) -> float:
    """Mean |difference| of neighbors along rows plus that along columns, in gray levels 0-255."""
    gray = np.asarray(picture.convert("L"), np.int16)
    return sum(
        float(np.abs(np.diff(gray, axis=axis)).mean()) for axis in (0, 1) if gray.shape[axis] > 1
    )
