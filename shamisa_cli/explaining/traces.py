"""Traces, ours: channels out of place, and seams; a network hardly sees either.

A color channel that lies a pixel aside leaves the features of a photo almost as they were, and so
do patches that were moved by some pixels. Here both are measured. The words hear these numbers
beside the features and the tones.
"""

from __future__ import annotations

from itertools import count, pairwise

import torch
from torch import Tensor

from shamisa_cli.encoders.scene_statistics import luminance

REACH = 14
"""Largest displacement of a channel that is looked for, px along each axis."""

RINGS = (1.0, 1.6, 2.6, 4.6, 7.0, 10.0, float(REACH))
"""Limits of the distances, in px, at which displacements are told apart."""

RUN, STRIDE = 12, 3
"""Length in px of the parts of a seam, and how far apart they start."""

RATIOS = (0.3, 0.5, 0.8)
"""A part of a seam counts as one from such a share of the steps beside it."""

TOP = (0.01, 0.001)
"""Shares of the strongest parts of seams, whose weakest is told beside the strongest of all."""

_OF_FRINGES = 2 * (1 + 2 * (len(RINGS) - 1) + 2)
_OF_SEAMS = 2 * 2 * (2 * (len(TOP) + 1) + len(RATIOS))
TRACES = _OF_FRINGES + _OF_SEAMS
"""Numbers of :func:`traces`."""

_LEAST = 0.01
"""A step between two pixels, in [0, 1], or a correlation, below which all are alike."""
_RARE = 1e-4
"""Added to shares before the logarithm."""


def traces(x: Tensor) -> Tensor:
    """(:data:`TRACES`,) float32 of a photo ``x`` (3, H, W), RGB in [0, 1]; 0 where it is tiny."""
    if min(x.shape[1:]) < 2 * REACH:
        return torch.zeros(TRACES)
    return torch.cat([fringes(x), seams(luminance(x[None])[0])])


def fringes(x: Tensor) -> Tensor:
    """How far aside green lies from red and blue, of a photo (3, H, W).

    By the correlation of their gradients at displacements of up to :data:`REACH` px. It is the same
    in opposite directions unless one channel was moved. Told are the correlation in place; for each
    ring its largest value and its largest excess over the opposite direction; the largest excess of
    all, and its distance in px. Then the logarithms of all these.
    """
    found = displaced(x[1], (x[0] + x[2]) / 2)
    excess = found - found.flip(0, 1)
    steps = torch.arange(-REACH, REACH + 1, dtype=torch.float32)
    distance = (steps[:, None].square() + steps.square()).sqrt()
    numbers = [found[REACH, REACH]]
    for least, most in pairwise(RINGS):
        ring = (distance >= least) & (distance < most)
        numbers += [excess[ring].max(), found[ring].max()]
    numbers += [excess.max(), distance.flatten()[excess.argmax()]]
    told = torch.stack(numbers)
    return torch.cat([told, (told.clamp_min(0) + _LEAST).log()])


def displaced(one: Tensor, other: Tensor) -> Tensor:
    """(29, 29): correlation of the gradients of two maps (H, W), by displacement (rows, columns).

    At [REACH + r, REACH + c] that of ``one`` at (y + r, x + c) with ``other`` at (y, x); 1 at most.
    """
    height, width = (side - 1 for side in one.shape)
    padded = [fast_length(side + REACH) for side in (height, width)]
    gradients = [
        torch.stack([each.diff(dim=axis)[:height, :width] for axis in (0, 1)])
        for each in (one, other)
    ]
    a, b = (torch.fft.rfft2(each, s=padded) for each in gradients)
    found = torch.fft.irfft2((a * b.conj()).sum(0), s=padded).roll((REACH, REACH), (0, 1))
    energies = torch.stack([each.square().sum() for each in gradients])
    size = 2 * REACH + 1
    return found[:size, :size] / energies.prod().sqrt().clamp_min(1e-6)


def fast_length(least: int) -> int:
    """The first number from ``least`` on without a prime factor above 5: FFTs of others are slow.

    scipy.fft.next_fast_len, without the import, which takes longer than an explanation.
    """

    def rest(number: int) -> int:
        for factor in (2, 3, 5):
            while number % factor == 0:
                number //= factor
        return number

    return next(number for number in count(least) if rest(number) == 1)


def seams(light: Tensor) -> Tensor:
    """How many straight edges of one pixel's width a map (H, W) in [0, 1] has, and how strong.

    An edge of a lens goes over several pixels, that of a patch over none. A step between two pixels
    counts by what it has more than both beside it, as a mean over :data:`RUN` px along the seam.
    Told of upright and level seams are the strongest parts, in steps and as a share of the steps
    around them, and how many parts pass :data:`RATIOS`: mean of both directions, the larger, and
    the logarithms of these.
    """
    both = torch.stack([_upright(light), _upright(light.T.contiguous())])
    told = torch.cat([both.mean(0), both.amax(0)])
    return torch.cat([told, (told + _RARE).log()])


def _upright(light: Tensor) -> Tensor:
    """Of upright seams alone."""
    steps = light.diff(dim=1).abs()
    left, middle, right = steps[:, :-2], steps[:, 1:-1], steps[:, 2:]
    parts = along((middle - torch.maximum(left, right)).clamp_min(0))
    around = along(steps)
    ratio = parts / ((around[:, :-2] + around[:, 1:-1] + around[:, 2:]) / 3 + _LEAST)
    numbers = [(ratio > least).float().mean() for least in RATIOS]
    for values in (parts, ratio):
        n = values.numel()
        top = values.flatten().topk(max(1, round(TOP[0] * n))).values
        numbers += [top[0], *(top[max(0, round(share * n) - 1)] for share in TOP)]
    return torch.stack(numbers)


def along(values: Tensor) -> Tensor:
    """Means of (H, W) over :data:`RUN` rows, at every third row."""
    parts = values[: len(values) // STRIDE * STRIDE].unflatten(0, (-1, STRIDE)).sum(1)
    return parts.unfold(0, RUN // STRIDE, 1).sum(-1) / RUN
