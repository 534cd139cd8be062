"""Which distorted copies are made of a photo: ladders of severities, or random compositions."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Protocol

import torch

from shamisa_cli.distortions.composition import Composition, sample_composition
from shamisa_cli.distortions.registry import ENTRIES, get_entries
from shamisa_cli.distortions.severity import applied_native, quantize_severity
from shamisa_cli.seeds import generator


@dataclass(frozen=True)
class Variant:
    """One distorted copy.

    Attributes
    ----------
    row : the name of the distortion, or "composition".
    number : 1, 2, … within the row.
    composition : what is done.
    """

    row: str
    number: int
    composition: Composition

    @property
    def suffix(self) -> str:
        """What the copy's file name adds to the photo's."""
        return f"{self.row}_{self.number}"

    @property
    def natives(self) -> list[float]:
        """The native parameter of each function, with its sign."""
        pairs = zip(self.composition.functions, self.composition.severities, strict=True)
        return [_native(function, severity) for function, severity in pairs]

    @property
    def caption(self) -> str:
        """Severity and native value; of several functions, how many."""
        if len(self.composition.functions) > 1:
            return f"{len(self.composition.functions)} functions"
        return f"severity {self.composition.severities[0]:.2f}: {self.natives[0]:.4g}"


class Plan(Protocol):
    """Says which copies a photo gets, in rows."""

    @property
    def photos_per_sheet(self) -> int:
        """How many photos a contact sheet shows."""
        ...

    def rows(self, photo: PurePath) -> list[list[Variant]]:
        """The variants of ``photo``, a name that no other photo of the set has."""
        ...


class LadderPlan:
    """Each of some distortions (all of them, if none is named) at each of some severities.

    Raises
    ------
    UnknownNameError
        on a name that is no distortion.
    """

    photos_per_sheet = 1

    def __init__(self, names: Sequence[str], severities: Sequence[float]) -> None:
        named = dict.fromkeys(entry for name in names for entry in get_entries(name))
        self._rows = [_ladder(entry, severities) for entry in named or range(len(ENTRIES))]

    def rows(self, photo: PurePath) -> list[list[Variant]]:
        return self._rows


class RandomPlan:
    """``count`` random compositions, drawn from the seed and the photo's name alone."""

    photos_per_sheet = 24

    def __init__(self, count: int, seed: int) -> None:
        self.count = count
        self.seed = seed

    def rows(self, photo: PurePath) -> list[list[Variant]]:
        draws = generator(self.seed, stream_of(photo.as_posix()))
        numbers = range(1, self.count + 1)
        return [[Variant("composition", n, sample_composition(draws)) for n in numbers]]


def stream_of(name: str) -> int:
    """The number of the random stream of ``name``, which need not be UTF-8 on disk."""
    return zlib.crc32(name.encode("utf-8", "surrogateescape"))


def _ladder(entry: int, severities: Sequence[float]) -> list[Variant]:
    wanted = torch.tensor(severities, dtype=torch.float64)
    applied = quantize_severity(ENTRIES[entry].distortion, wanted).tolist()
    return [
        Variant(ENTRIES[entry].name, number, Composition((entry,), (severity,)))
        for number, severity in enumerate(applied, start=1)
    ]


def _native(function: int, severity: float) -> float:
    entry = ENTRIES[function]
    native = applied_native(entry.distortion, torch.tensor(severity, dtype=torch.float64))
    return entry.sign * float(native) + 0.0  # no minus zero
