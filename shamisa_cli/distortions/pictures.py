"""One photo distorted: by a composition, or as a ladder of severities."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image

from shamisa_cli.distortions.composition import Composition, compose
from shamisa_cli.distortions.registry import DISTORTIONS, ENTRIES, get_entries
from shamisa_cli.imaging.arrays import to_image, to_tensor

LEVELS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Severities λ of the five published levels."""

_MILDEST = {"linear_contrast_change-": 1 / 3}
"""Where a ladder starts whose mildest severities do no damage: lower contrast at severity 0 raises
it a little, as its published points have it, and at 1/3 (a = -0.2) it changes nothing."""


def distort_image(
    photo: Image.Image, composition: Composition, generator: torch.Generator
) -> Image.Image:
    """``photo`` (8-bit RGB) under ``composition``, 8-bit RGB."""
    return to_image(compose(to_tensor(photo)[None], composition, generator)[0])


def ladder_images(
    photo: Image.Image, name: str, seed: int, levels: Sequence[float] = LEVELS
) -> list[Image.Image]:
    """``photo`` (8-bit RGB) under distortion ``name`` at each of ``levels``, 0-1; damage rises.

    Levels are severities λ, but those of lower contrast begin where it does nothing.

    Parameters
    ----------
    seed : of the draws, the same at every level; it also decides the sign of distortions that have
        both.
    """
    entries = get_entries(name)
    negative = DISTORTIONS[name].signed and seed % 2
    entry = entries[1] if negative else entries[0]
    mildest = _MILDEST.get(ENTRIES[entry].name, 0.0)
    severities = [mildest + (1 - mildest) * level for level in levels]
    return [
        distort_image(photo, Composition((entry,), (each,)), torch.Generator().manual_seed(seed))
        for each in severities
    ]
