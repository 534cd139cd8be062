"""Photos damaged with a record of what was done, and where: what explanations are learned from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from shamisa_cli.distortions.composition import Composition, compose, sample_composition
from shamisa_cli.distortions.registry import DISTORTIONS, ENTRIES, get_entries
from shamisa_cli.distortions.severity import quantize_severity
from shamisa_cli.imaging.arrays import to_image, to_tensor

KINDS = tuple(DISTORTIONS)
ABSENT = -1.0
"""In place of a severity."""

MILDEST = 0.1
"""Severity from which single kinds of damage are drawn; weaker ones are hardly seen."""

SHARE = (0.15, 0.5)
"""Of a photo that is damaged in part."""

IN_PART = 2
"""So many kinds, drawn anew for each photo, are also done to a part of it alone."""

FEW, COMPOSITIONS = 3, 2
"""Pictures of each photo with two or three kinds together, and as the engine draws them."""

_BLOBS = (4, 5)
"""Random numbers, rows and columns, whose smooth course bounds the damaged part."""


@dataclass(frozen=True, eq=False)
class Lesson:
    """A picture of a photo, and what was done to it.

    Attributes
    ----------
    what : ``as it is``, ``single`` (one kind of damage), ``few`` (two or three), ``composition``
        (as the engine draws them), or ``part`` (that of the lesson before, in a part of the photo).
    picture : 8-bit RGB.
    severities : (k,) float32 of each kind, 0-1, or :data:`ABSENT`.
    mask : (H, W) bool, where it was done.
    """

    what: str
    picture: Image.Image
    severities: Tensor
    mask: Tensor


def make_lessons(photo: Image.Image, generator: torch.Generator) -> Iterator[Lesson]:
    """The lessons of ``photo`` (8-bit RGB), by draws of ``generator``.

    As it is; each kind of damage alone; a few of them together; compositions. Three of these are
    followed by the same in a part of the photo.
    """
    reference = to_tensor(photo)[None]
    height, width = reference.shape[2:]
    nowhere = torch.zeros(height, width, dtype=torch.bool)
    yield Lesson("as it is", photo, severities_of(None), nowhere)
    order = torch.randperm(len(KINDS), generator=generator).tolist()
    plan = [("single", n < IN_PART, _single(KINDS[k], generator)) for n, k in enumerate(order)]
    plan += [("few", n == 0, _few(generator)) for n in range(FEW)]
    plan += [("composition", False, sample_composition(generator)) for _ in range(COMPOSITIONS)]
    for what, in_part, composition in plan:
        damaged = compose(reference, composition, generator)
        severities = severities_of(composition)
        yield Lesson(what, to_image(damaged[0]), severities, ~nowhere)
        if in_part:
            mask = random_part(height, width, generator)
            mixed = torch.where(mask, damaged, reference)
            yield Lesson("part", to_image(mixed[0]), severities, mask)


def _few(generator: torch.Generator) -> Composition:
    """The first two or three functions of a composition as the engine draws them."""
    few = 2 + int(torch.randint(2, (), generator=generator))
    drawn = sample_composition(generator)
    while len(drawn.functions) < 2:
        drawn = sample_composition(generator)
    return Composition(drawn.functions[:few], drawn.severities[:few])


def severities_of(composition: Composition | None) -> Tensor:
    """(k,) float32: the severity of each of :data:`KINDS` in ``composition``, or ABSENT.

    Both signs of a distortion are one kind; of a kind that is there twice the stronger counts.
    """
    severities = torch.full((len(KINDS),), ABSENT)
    for entry, severity in composition.steps if composition else ():
        kind = KINDS.index(ENTRIES[entry].distortion.name)
        severities[kind] = max(float(severities[kind]), severity)
    return severities


def random_part(height: int, width: int, generator: torch.Generator) -> Tensor:
    """(height, width) bool: a random part with smooth borders, of a share within :data:`SHARE`."""
    coarse = torch.rand((1, 1, *_BLOBS), generator=generator)
    course = F.interpolate(coarse, (height, width), mode="bicubic")[0, 0]
    share = SHARE[0] + (SHARE[1] - SHARE[0]) * float(torch.rand((), generator=generator))
    rank = min(height * width - 1, int((1 - share) * height * width))
    return course >= course.flatten().sort().values[rank]


def _single(kind: str, generator: torch.Generator) -> Composition:
    """One kind of damage, at a severity from :data:`MILDEST` to 1, each as likely."""
    entries = get_entries(kind)
    entry = entries[int(torch.randint(len(entries), (), generator=generator))]
    severity = MILDEST + (1 - MILDEST) * torch.rand((), generator=generator).double()
    applied = quantize_severity(ENTRIES[entry].distortion, severity)
    return Composition((entry,), (float(applied),))
