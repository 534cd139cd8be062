"""Random draws on the device of the images, all from one explicit generator."""

from __future__ import annotations

import torch
from torch import Tensor


def generator_for(device: torch.device, generator: torch.Generator) -> torch.Generator:
    """``generator`` itself on its own device; elsewhere a new one, seeded by a draw from it.

    So one CPU generator drives the engine on any device: the same seed gives the same crops on the
    same kind of device, and the same metadata on every kind.
    """
    if generator.device.type == device.type:
        return generator
    seed = int(torch.randint(2**62, (1,), generator=generator, device=generator.device))
    return torch.Generator(device).manual_seed(seed)


def host_uniform(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Uniform draws in [0, 1) on the CPU: the few numbers (angles, colors) that plan a call."""
    return torch.rand(shape, generator=generator_for(torch.device("cpu"), generator))


def host_integers(
    low: int, high: int, shape: tuple[int, ...], generator: torch.Generator
) -> Tensor:
    """Uniform int64 draws in ``low`` … ``high`` (both included) on the CPU."""
    host = generator_for(torch.device("cpu"), generator)
    return torch.randint(low, high + 1, shape, generator=host)


def per_image(native: Tensor, images: Tensor) -> Tensor:
    """``native`` (N,) as (N, 1, 1, 1) in the dtype and on the device of ``images``."""
    return native.to(images.device, images.dtype, non_blocking=True).view(-1, 1, 1, 1)
