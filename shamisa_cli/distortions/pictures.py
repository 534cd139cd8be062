"""One photo distorted: by a composition, or as a ladder of severities."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image

from shamisa_cli.distortions.composition import Composition, compose
from shamisa_cli.distortions.registry import DISTORTIONS, get_entries
from shamisa_cli.imaging.arrays import to_image, to_tensor

LEVELS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Severities λ of the five published levels."""


def distort_image(
    photo: Image.Image, composition: Composition, generator: torch.Generator
) -> Image.Image:
    """``photo`` (8-bit RGB) under ``composition``, 8-bit RGB."""
    return to_image(compose(to_tensor(photo)[None], composition, generator)[0])


def ladder_images(
    photo: Image.Image, name: str, seed: int, levels: Sequence[float] = LEVELS
) -> list[Image.Image]:
    """``photo`` (8-bit RGB) under distortion ``name`` at each severity λ of ``levels``.

    Parameters
    ----------
    seed : of the draws, the same at every level; it also decides the sign of distortions that have
        both.
    """
    entries = get_entries(name)
    negative = DISTORTIONS[name].signed and seed % 2
    entry = entries[1] if negative else entries[0]
    return [
        distort_image(photo, Composition((entry,), (level,)), torch.Generator().manual_seed(seed))
        for level in levels
    ]
