"""Blur: Gaussian, out-of-focus lens, motion (KADID-10k)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from shamisa_cli.distortions.convolution import convolve, disk, line
from shamisa_cli.distortions.convolution import gaussian_blur as blur_with_gaussian
from shamisa_cli.distortions.draws import host_uniform


def gaussian_blur(images: Tensor, native: Tensor, generator: torch.Generator) -> Tensor:
    """Gaussian of σ = ``native`` px, support 2⌈2σ⌉+1, replicated border."""
    return blur_with_gaussian(images, native)


def lens_blur(images: Tensor, native: Tensor, generator: torch.Generator) -> Tensor:
    """Mean over an anti-aliased disk of radius ``native`` px, replicated border."""
    radii = [int(r) for r in native]
    kernels = torch.stack([disk(r, max(radii)) for r in radii])
    return convolve(images, kernels)


def motion_blur(images: Tensor, native: Tensor, generator: torch.Generator) -> Tensor:
    """Mean along an anti-aliased line of ``native`` px, at an angle drawn per image in [0, π)."""
    angle = host_uniform((len(native),), generator) * math.pi
    radius = math.ceil((float(native.max()) - 1) / 2)
    return convolve(images, line(native, angle, radius))
