"""The 24 atomic distortions by name and category, at KADID-10k's levels (docs/distortions.md).

Source: Lin, Hosu, Saupe, "KADID-10k: A large-scale artificially distorted IQA database", QoMEX
2019.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from shamisa_cli.distortions import blur, color, compression, noise, spatial, tone
from shamisa_cli.errors import unknown_name

Apply = Callable[[Tensor, Tensor, torch.Generator], Tensor]


@dataclass(frozen=True)
class Distortion:
    """One atomic distortion.

    Attributes
    ----------
    apply : (images (N, 3, H, W) float in [0, 1], native (N,) on the CPU, generator) to distorted
        images, which may leave [0, 1]; the input is never changed. Use
        :func:`shamisa_cli.distortions.apply.apply_distortion`, which calibrates and clamps.
    category : one of ``CATEGORIES``.
    label : what the native parameter is, with its unit; ``{}`` stands for the value.
    levels : the native parameter at severity λ = 0, ¼, ½, ¾, 1.
    integer : whether the native parameter must be an integer.
    signed : whether it may also be applied with the opposite sign.
    """

    apply: Apply
    category: str
    label: str
    levels: tuple[float, float, float, float, float]
    integer: bool = False
    signed: bool = False

    @property
    def name(self) -> str:
        """That of its function."""
        return self.apply.__name__


@dataclass(frozen=True)
class Entry:
    """What is drawn in a category: a distortion, and the sign (±1) of its native parameter."""

    distortion: Distortion
    sign: int = 1

    @property
    def name(self) -> str:
        """The distortion's name; with its sign at the end where it has both: ``mean_shift-``."""
        if not self.distortion.signed:
            return self.distortion.name
        return f"{self.distortion.name}{'+' if self.sign > 0 else '-'}"


_ALL = (
    Distortion(blur.gaussian_blur, "blur", "σ {} px", (0.1, 0.5, 1, 2, 5)),
    Distortion(blur.lens_blur, "blur", "radius {} px", (1, 2, 4, 6, 8), integer=True),
    Distortion(blur.motion_blur, "blur", "length {} px", (1, 2, 4, 6, 10), integer=True),
    Distortion(color.color_diffusion, "color", "factor {}", (1, 3, 6, 8, 12), integer=True),
    Distortion(color.color_shift, "color", "shift {} px", (1, 3, 6, 8, 12), integer=True),
    Distortion(color.color_saturation_1, "color", "factor {}", (0.4, 0.2, 0.1, 0, -0.4)),
    Distortion(color.color_saturation_2, "color", "factor {}", (1, 2, 3, 6, 9), integer=True),
    Distortion(
        compression.jpeg2000, "compression", "ratio {}", (16, 32, 45, 120, 170), integer=True
    ),
    Distortion(compression.jpeg, "compression", "quality {}", (43, 36, 24, 7, 4), integer=True),
    Distortion(noise.white_noise, "noise", "variance {}", (0.001, 0.002, 0.003, 0.005, 0.01)),
    Distortion(noise.white_noise_cc, "noise", "variance {}", (0.0001, 0.0005, 0.001, 0.002, 0.003)),
    Distortion(noise.impulse_noise, "noise", "density {}", (0.001, 0.005, 0.01, 0.02, 0.03)),
    Distortion(
        noise.multiplicative_noise, "noise", "variance {}", (0.001, 0.005, 0.01, 0.02, 0.05)
    ),
    Distortion(tone.brighten, "brightness", "amount {}", (0.1, 0.2, 0.4, 0.7, 1.1)),
    Distortion(tone.darken, "brightness", "amount {}", (0.05, 0.1, 0.2, 0.4, 0.8)),
    Distortion(
        tone.mean_shift, "brightness", "offset {}", (0, 0.08, 0.115, 0.15, 0.185), signed=True
    ),
    Distortion(spatial.jitter, "spatial", "σ {} px", (0.05, 0.1, 0.2, 0.5, 1)),
    Distortion(
        spatial.non_eccentricity_patch, "spatial", "{} patches", (20, 40, 60, 80, 100), integer=True
    ),
    Distortion(spatial.pixelate, "spatial", "s {}", (0.01, 0.05, 0.1, 0.2, 0.5)),
    Distortion(spatial.quantization, "spatial", "{} levels", (20, 16, 13, 10, 7), integer=True),
    Distortion(spatial.color_block, "spatial", "{} blocks", (2, 4, 6, 8, 10), integer=True),
    Distortion(
        tone.high_sharpen, "sharpness_contrast", "amount {}", (1, 2, 3, 6, 12), integer=True
    ),
    Distortion(
        tone.linear_contrast_change,
        "sharpness_contrast",
        "amount {}",
        (0, 0.15, 0.3, 0.4, 0.6),
        signed=True,
    ),
    Distortion(
        tone.nonlinear_contrast_change,
        "sharpness_contrast",
        "half-range {}",
        (0.4, 0.3, 0.2, 0.1, 0.05),
    ),
)

DISTORTIONS: Mapping[str, Distortion] = MappingProxyType({d.name: d for d in _ALL})
"""The 24 distortions by name, in the order of docs/distortions.md."""

CATEGORIES: tuple[str, ...] = tuple(dict.fromkeys(d.category for d in _ALL))
"""blur, color, compression, noise, brightness, spatial, sharpness_contrast."""

ENTRIES: tuple[Entry, ...] = tuple(
    Entry(d, sign) for d in _ALL for sign in ((1, -1) if d.signed else (1,))
)
"""The 26 entries; their positions are the function ids of the metadata."""

ENTRIES_OF_CATEGORY: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {c: tuple(i for i, e in enumerate(ENTRIES) if e.distortion.category == c) for c in CATEGORIES}
)
"""The entry ids of each category."""


def get_distortion(name: str) -> Distortion:
    """The distortion called ``name``; UnknownNameError, with near matches, if there is none."""
    if name not in DISTORTIONS:
        raise unknown_name("distortion", name, DISTORTIONS)
    return DISTORTIONS[name]


def get_entries(name: str) -> tuple[int, ...]:
    """Entry ids of a distortion (both of one with two signs), or of one entry by its own name."""
    by_entry = tuple(i for i, entry in enumerate(ENTRIES) if entry.name == name)
    if by_entry:
        return by_entry
    distortion = get_distortion(name)
    return tuple(i for i, entry in enumerate(ENTRIES) if entry.distortion is distortion)
