"""A perceptual hash: 64 bits that photos alike share, whatever their size and compression."""

from __future__ import annotations

import numpy as np
from PIL import Image

_SIDE, _LOW = 32, 8
_UNIT = 1 << 14
"""Cosines are rounded to multiples of 1/_UNIT, so that sums of whole numbers are exact."""


def perceptual_hash(picture: Image.Image) -> int:
    """The 64-bit hash of ``picture`` by the signs of its coarse structure (pHash).

    The picture is made gray and shrunk to 32×32 (Pillow, Lanczos). Of its cosine transform (DCT-II,
    not normalized) the 8×8 lowest frequencies count, that of the mean among them: a bit is 1 where
    one is above their median. Bits are in rows of the transform, the first one highest. The
    transform is computed in whole numbers, so that every machine has the same bits.

    The number of bits in which two hashes differ says how unlike two pictures are: 0 to 10 for
    copies of another size or compression, about 32 for strangers.

    Source: C. Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010.

    Examples
    --------
    >>> gradient = Image.linear_gradient("L")
    >>> f"{perceptual_hash(gradient):016x}" == f"{perceptual_hash(gradient.resize((99, 99))):016x}"
    True
    """
    small = picture.convert("L").resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    pixels = np.asarray(small, np.int64)
    low = _COSINES @ pixels @ _COSINES.T
    ordered = np.sort(low, axis=None)
    above = 2 * low > ordered[_LOW * _LOW // 2 - 1] + ordered[_LOW * _LOW // 2]
    return int.from_bytes(np.packbits(above).tobytes(), "big")


def _cosines() -> np.ndarray:
    """(8, 32) rounded cosines of the lowest frequencies: row k is cos(π·k·(2n + 1) / 64)."""
    k, n = np.mgrid[:_LOW, :_SIDE]
    return np.rint(_UNIT * np.cos(np.pi * k * (2 * n + 1) / (2 * _SIDE))).astype(np.int64)


_COSINES = _cosines()
