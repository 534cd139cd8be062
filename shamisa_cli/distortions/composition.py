"""Compositions of distortions, and groups in which a single severity varies (docs/method.md §2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from shamisa_cli.distortions.apply import apply_entry
from shamisa_cli.distortions.registry import CATEGORIES, ENTRIES, ENTRIES_OF_CATEGORY
from shamisa_cli.distortions.severity import quantize_severity

SEVERITY_SCALE = 0.625
"""Standard deviation of u in λ = min(|u|, 1)."""


@dataclass(frozen=True)
class Sampling:
    """How compositions are drawn; the defaults are the published ones (docs/method.md §2).

    Whatever is changed but ``max_functions``, the same generator draws the same functions.

    Attributes
    ----------
    max_functions : the largest M, 1 … 7.
    severities : ``half_normal``, |N(0, 0.625²)| cut at 1; or ``uniform`` over [0, 1].
    discrete : severities are rounded to the nearest of KADID's five levels, 0, ¼, ½, ¾, 1.
    order : of the functions: ``random``, or ``fixed``, that of their categories.
    """

    max_functions: int = len(CATEGORIES)
    severities: Literal["half_normal", "uniform"] = "half_normal"
    discrete: bool = False
    order: Literal["random", "fixed"] = "random"

    def __post_init__(self) -> None:
        if not 1 <= self.max_functions <= len(CATEGORIES):
            raise ValueError(
                f"max_functions must be 1 to {len(CATEGORIES)}, got {self.max_functions}"
            )


PUBLISHED = Sampling()


@dataclass(frozen=True)
class Composition:
    """Distortions one after the other.

    Attributes
    ----------
    functions : the entry ids (positions in ``registry.ENTRIES``) in order of application.
    severities : λ of each, in [0, 1], as applied (integer parameters rounded, λ recomputed).
    """

    functions: tuple[int, ...]
    severities: tuple[float, ...]

    @property
    def steps(self) -> list[tuple[int, float]]:
        """(entry id, λ) in order of application."""
        return list(zip(self.functions, self.severities, strict=True))


@dataclass(frozen=True)
class CompositionGroup:
    """L compositions that differ in the severity of one function only.

    Attributes
    ----------
    base : what they share.
    varying : the position v of the function whose severity varies.
    varying_severities : its severity λ_v at each of the L levels.
    """

    base: Composition
    varying: int
    varying_severities: tuple[float, ...]


def sample_composition(generator: torch.Generator, sampling: Sampling = PUBLISHED) -> Composition:
    """Draw M ~ uniform{1..7}, M categories in a random order, and one entry of each.

    A random permutation of the categories, cut after M, is both a uniform draw without
    replacement and a uniform order. Entry ids rise with the categories, which ``fixed`` uses.
    """
    m = 1 + _integer(sampling.max_functions, generator)
    order = torch.randperm(len(CATEGORIES), generator=generator)[:m]
    functions = []
    for category in order.tolist():
        entries = ENTRIES_OF_CATEGORY[CATEGORIES[category]]
        functions.append(entries[_integer(len(entries), generator)])
    if sampling.order == "fixed":
        functions.sort()
    drawn = sample_severities(m, generator, sampling).double()
    applied = [
        quantize_severity(ENTRIES[function].distortion, severity).item()
        for function, severity in zip(functions, drawn, strict=True)
    ]
    return Composition(tuple(functions), tuple(applied))


def sample_group(
    levels: int, generator: torch.Generator, sampling: Sampling = PUBLISHED
) -> CompositionGroup:
    """Draw a base composition, one varying position, and ``levels`` severities for it."""
    base = sample_composition(generator, sampling)
    varying = _integer(len(base.functions), generator)
    drawn = sample_severities(levels, generator, sampling)
    varied = quantize_severity(ENTRIES[base.functions[varying]].distortion, drawn.double())
    return CompositionGroup(base, varying, tuple(varied.tolist()))


def sample_severities(
    count: int, generator: torch.Generator, sampling: Sampling = PUBLISHED
) -> Tensor:
    """λ = min(|u|, 1), u ~ N(0, 0.625²), i.i.d.: (count,) float32.

    Uniform severities are made of the same draws: for n ~ N(0, 1), erf(|n|/√2) is uniform.
    """
    normal = torch.randn(count, generator=generator)
    if sampling.severities == "uniform":
        severities = torch.erf(normal.abs() / 2**0.5)
    else:
        severities = (normal * SEVERITY_SCALE).abs().clamp_max(1)
    return (severities * 4).round() / 4 if sampling.discrete else severities


def compose(images: Tensor, composition: Composition, generator: torch.Generator) -> Tensor:
    """Apply ``composition`` to every image of (N, 3, H, W) in [0, 1]; the input is not changed."""
    for function, severity in composition.steps:
        severities = torch.full((len(images),), severity, dtype=torch.float64)
        images = apply_entry(images, ENTRIES[function], severities, generator)
    return images


def _integer(count: int, generator: torch.Generator) -> int:
    """Uniform in 0 … count-1."""
    return int(torch.randint(count, (1,), generator=generator))
