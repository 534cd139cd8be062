"""How one small gray picture lies over another: by how much the camera turned between two frames.

Normalized cross-correlation at every shift, over what the two pictures share there (D. Padfield,
"Masked object registration in the Fourier domain", IEEE TIP 21(5), 2012; the masks are whole
pictures here).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.fft import irfft2, next_fast_len, rfft2
from scipy.ndimage import gaussian_filter

LEAST_OVERLAP = 0.25
"""Share of the picture; two frames that share less are not compared."""


@dataclass(frozen=True)
class Shift:
    """By how much a second picture is moved against a first.

    Attributes
    ----------
    down, right : of its content, as shares of height and width.
    likeness : normalized correlation of what they share, at most 1.
    """

    down: float
    right: float
    likeness: float

    @property
    def moved(self) -> float:
        """The larger of the two shares, without its sign."""
        return max(abs(self.down), abs(self.right))


def detail(gray: np.ndarray, fine: float = 1.0, coarse: float = 8.0) -> np.ndarray:
    """``gray`` (h, w) without what is finer than ``fine`` px, and without slow changes of light."""
    x = gray.astype(np.float64)
    return gaussian_filter(x, fine) - gaussian_filter(x, coarse)


def register(first: np.ndarray, second: np.ndarray) -> Shift:
    """Where ``second`` lies over ``first``, both (h, w) of one size: the shift of most likeness."""
    likeness = likeness_of_shifts(first, second)
    h, w = first.shape
    at = np.unravel_index(int(likeness.argmax()), likeness.shape)
    down, right = int(at[0]) - (h - 1), int(at[1]) - (w - 1)
    return Shift(-down / h, -right / w, float(likeness[at]))


def likeness_of_shifts(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(2h−1, 2w−1): at [h−1+y, w−1+x] the correlation of first[p+(y, x)] with second[p] over all p
    where both are; −1 where they share under :data:`LEAST_OVERLAP`, or nothing varies."""
    h, w = first.shape
    rows, columns = (n - np.abs(np.arange(1 - n, n)).astype(float) for n in (h, w))
    n = np.outer(rows, columns)
    a, b = (x.astype(np.float64) - x.mean() for x in (first, second))
    ones = np.ones_like(a)
    sum_a, sum_b = _correlate(a, ones), _correlate(ones, b)
    products = _correlate(a, b) - sum_a * sum_b / n
    spread_a = _correlate(a * a, ones) - sum_a**2 / n
    spread_b = _correlate(ones, b * b) - sum_b**2 / n
    least = 1e-9 * max(float((a * a).sum()), float((b * b).sum()), 1.0)
    known = (n >= LEAST_OVERLAP * h * w) & (spread_a > least) & (spread_b > least)
    found = np.full(n.shape, -1.0)
    found[known] = products[known] / np.sqrt(spread_a[known] * spread_b[known])
    return np.minimum(found, 1.0)


def _correlate(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(2h−1, 2w−1): at [h−1+y, w−1+x] the sum over p of a[p+(y, x)]·b[p]."""
    h, w = a.shape
    size = (next_fast_len(2 * h - 1, real=True), next_fast_len(2 * w - 1, real=True))
    full = irfft2(rfft2(a, size) * rfft2(b[::-1, ::-1], size), size)
    return full[: 2 * h - 1, : 2 * w - 1]
