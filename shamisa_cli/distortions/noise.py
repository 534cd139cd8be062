"""Noise: white in RGB and in YCbCr, impulse, multiplicative (KADID-10k)."""

from __future__ import annotations

import torch
from torch import Tensor

from shamisa_cli.distortions.colorspace import ycc_to_rgb_offset
from shamisa_cli.distortions.draws import generator_for, per_image


def white_noise(images: Tensor, native: Tensor, generator: torch.Generator) -> Tensor:
    """Add Gaussian noise of variance ``native`` to every channel of every pixel."""
    return _gaussian(images, native, generator).add_(images)


def white_noise_cc(images: Tensor, native: Tensor, generator: torch.Generator) -> Tensor:
    """Add Gaussian noise of variance ``native`` to Y, Cb and Cr (full-range BT.601).

    The color transform is linear, so the noise is transformed and the image is not.
    """
    return ycc_to_rgb_offset(_gaussian(images, native, generator)).add_(images)


def impulse_noise(images: Tensor, native: Tensor, generator: torch.Generator) -> Tensor:
    """Set a part ``native`` of the values of each channel: half to 1 (salt), half to 0 (pepper)."""
    draws = torch.empty_like(images, memory_format=torch.contiguous_format)
    draws.uniform_(generator=generator_for(images.device, generator))
    half = per_image(native / 2, images)
    salt = (half - draws).ceil_()  # 1 where the draw is below half, else 0
    kept = (1 - half - draws).ceil_()  # 0 where the draw is above 1 - half, else 1
    return torch.maximum(images, salt).mul_(kept)


def multiplicative_noise(images: Tensor, native: Tensor, generator: torch.Generator) -> Tensor:
    """x + x·n with Gaussian n of variance ``native`` (speckle)."""
    return _gaussian(images, native, generator).add_(1).mul_(images)


def _gaussian(images: Tensor, variance: Tensor, generator: torch.Generator) -> Tensor:
    """Gaussian draws of ``variance`` (N,), in the shape and on the device of ``images``."""
    draws = torch.empty_like(images, memory_format=torch.contiguous_format)
    draws.normal_(generator=generator_for(images.device, generator))
    return draws.mul_(per_image(variance.sqrt(), images))
