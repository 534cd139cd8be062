"""One distortion on a batch: calibrated, in cache-sized pieces, clamped to [0, 1]."""

from __future__ import annotations

import torch
from torch import Tensor

from shamisa_cli.distortions.registry import Entry, get_distortion
from shamisa_cli.distortions.severity import applied_native
from shamisa_cli.errors import UsageError

CPU_PIECE = 5
"""Images worked on at a time on a CPU: five 224-px crops and what is made of them fit its cache."""


def apply_distortion(
    images: Tensor, name: str, severity: Tensor | float, generator: torch.Generator, sign: int = 1
) -> Tensor:
    """Distort a batch; the input is not changed.

    Parameters
    ----------
    images : (N, 3, H, W) float in [0, 1], on any device.
    name : one of ``registry.DISTORTIONS``.
    severity : λ in [0, 1], one per image or one for all.
    generator : where noise, places and angles come from.
    sign : -1 negates the native parameter, for distortions with both signs.

    Returns
    -------
    (N, 3, H, W) in [0, 1].
    """
    distortion = get_distortion(name)
    if sign not in ((1, -1) if distortion.signed else (1,)):
        raise UsageError(f"{name} has no sign {sign:+d}; only distortions with both signs take -1")
    severities = torch.as_tensor(severity, dtype=torch.float64).cpu().expand(len(images))
    if not bool(((severities >= 0) & (severities <= 1)).all()):
        raise UsageError(f"severity must lie in [0, 1], got {severity}")
    return apply_entry(images, Entry(distortion, sign), severities, generator)


def apply_entry(
    images: Tensor, entry: Entry, severities: Tensor, generator: torch.Generator
) -> Tensor:
    """:func:`apply_distortion` of a registry entry, with λ (N,) on the CPU, not checked."""
    native = entry.sign * applied_native(entry.distortion, severities).float()
    # Codecs take the whole batch, for their threads; so does a device that is no CPU.
    whole = images.device.type != "cpu" or entry.distortion.category == "compression"
    piece = len(images) if whole else CPU_PIECE
    if piece >= len(images):
        done = entry.distortion.apply(images, native, generator)
        return done.clamp(0, 1) if done is images else done.clamp_(0, 1)
    result = torch.empty_like(images)
    for start in range(0, len(images), piece):
        part = slice(start, start + piece)
        done = entry.distortion.apply(images[part], native[part], generator)
        torch.clamp(done, 0, 1, out=result[part])
    return result
