"""MDSI, a full-reference metric of structure and color together.

H. Ziaei Nafchi, A. Shahkolaei, R. Hedjam and M. Cheriet, "Mean Deviation Similarity Index:
Efficient and Reliable Full-Reference Image Quality Evaluator", IEEE Access 4, 2016. Equations are
numbered as there; constants are for values of 0-255.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

C1, C2, C3 = 140.0, 55.0, 550.0
ALPHA = 0.6

_TO_LHM = ((0.2989, 0.5870, 0.1140), (0.30, 0.04, -0.35), (0.34, -0.60, 0.17))
"""Luminance L and the two chromaticity channels H and M, from RGB (eq. 1)."""


def mdsi(reference: Tensor, distorted: Tensor) -> Tensor:
    """(N,) float32, 0 for equal pictures, larger is worse; more than 0.7 is rare.

    Both are (N, 3, H, W), RGB in [0, 1]. Where the gradient similarity is so far below zero that
    the combined one is negative, whose root the paper takes as a complex number, it counts as 0.
    The paper first shrinks pictures of which the short side is above 384 px; crops are not.
    """
    r, d = (_lhm(x) for x in (reference, distorted))
    gradients = ALPHA * _gradient_similarity(r[:, :1], d[:, :1])
    combined = gradients + (1 - ALPHA) * _color_similarity(r[:, 1:], d[:, 1:])
    root = combined.clamp_min(0).pow(0.25).flatten(1)
    deviation = (root - root.mean(1, keepdim=True)).abs().mean(1)
    return deviation.pow(0.25)


def _lhm(x: Tensor) -> Tensor:
    """(N, 3, H, W) of 0-255."""
    return torch.einsum("kc,nchw->nkhw", x.new_tensor(_TO_LHM), x * 255)


def _gradient_similarity(r: Tensor, d: Tensor) -> Tensor:
    """Of luminances (N, 1, H, W); the fused picture keeps edges of either (eq. 3-6)."""
    of_r, of_d, fused = (_gradient(x) for x in (r, d, (r + d) / 2))
    return _similarity(of_r, of_d, C1) + _similarity(of_d, fused, C2) - _similarity(of_r, fused, C2)


def _color_similarity(r: Tensor, d: Tensor) -> Tensor:
    """Of chromaticities (N, 2, H, W), both channels at once (eq. 8)."""
    both = 2 * (r * d).sum(1, keepdim=True) + C3
    return both / (r.square().sum(1, keepdim=True) + d.square().sum(1, keepdim=True) + C3)


def _similarity(a: Tensor, b: Tensor, c: float) -> Tensor:
    return (2 * a * b + c) / (a.square() + b.square() + c)


def _gradient(x: Tensor) -> Tensor:
    """Magnitude of the Prewitt gradient of (N, 1, H, W), with zeros beyond the border (eq. 2)."""
    along = x.new_tensor([[1, 0, -1]] * 3) / 3
    kernels = torch.stack([along, along.T])[:, None]
    return F.conv2d(x, kernels, padding=1).square().sum(1, keepdim=True).sqrt()
