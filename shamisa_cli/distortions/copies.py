"""Distorted copies of photos with a record of what was done: KADID-like and KADIS-like sets."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import torch
from PIL import Image

from shamisa_cli.distortions.composition import Composition, sample_composition
from shamisa_cli.distortions.pictures import distort_image
from shamisa_cli.distortions.registry import ENTRIES, get_entries
from shamisa_cli.distortions.severity import applied_native, quantize_severity
from shamisa_cli.errors import ShamisaError, UsageError, system_reason
from shamisa_cli.files import escape_name
from shamisa_cli.imaging.sheet import contact_sheet
from shamisa_cli.seeds import generator

SHEET_SIDE = 224
"""Side in px of the middle of a photo that a contact sheet shows."""


@dataclass(frozen=True)
class Variant:
    """One distorted copy.

    Attributes
    ----------
    row : the name of the distortion, or "composition".
    number : 1, 2, … within the row.
    composition : the functions and their severities.
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
        found = []
        for function, severity in self.composition.steps:
            entry = ENTRIES[function]
            native = applied_native(entry.distortion, torch.tensor(severity, dtype=torch.float64))
            found.append(entry.sign * float(native) + 0.0)  # no minus zero
        return found

    @property
    def caption(self) -> str:
        """Severity and native value; of several functions, how many."""
        if len(self.composition.functions) > 1:
            return f"{len(self.composition.functions)} functions"
        return f"severity {self.composition.severities[0]:.2f}: {self.natives[0]:.4g}"


@dataclass(frozen=True)
class Plan:
    """Which copies are made of a photo.

    Attributes
    ----------
    rows : the variants of a photo, in rows; its name is one that no other photo of the set has.
    photos_per_sheet : how many photos a contact sheet shows.
    """

    rows: Callable[[PurePath], list[list[Variant]]]
    photos_per_sheet: int


def ladder_plan(names: Sequence[str], severities: Sequence[float]) -> Plan:
    """Each named distortion (all of them, if none is named) at each severity."""
    named = dict.fromkeys(entry for name in names for entry in get_entries(name))
    wanted = torch.tensor(severities, dtype=torch.float64)
    rows = []
    for entry in named or range(len(ENTRIES)):
        applied = quantize_severity(ENTRIES[entry].distortion, wanted).tolist()
        steps = [Composition((entry,), (severity,)) for severity in applied]
        rows.append([Variant(ENTRIES[entry].name, n, step) for n, step in enumerate(steps, 1)])
    return Plan(lambda photo: rows, photos_per_sheet=1)


def random_plan(count: int, seed: int) -> Plan:
    """``count`` random compositions, drawn from the seed and the photo's name alone."""

    def rows(photo: PurePath) -> list[list[Variant]]:
        draws = generator(seed, stream_of(photo.as_posix()))
        numbers = range(1, count + 1)
        return [[Variant("composition", n, sample_composition(draws)) for n in numbers]]

    return Plan(rows, photos_per_sheet=24)


def stream_of(name: str) -> int:
    """The number of the random stream of ``name``, which need not be UTF-8 on disk."""
    return zlib.crc32(name.encode("utf-8", "surrogateescape"))


def distorted_copy(image: Image.Image, photo: PurePath, variant: Variant, seed: int) -> Image.Image:
    """``image`` (8-bit RGB) distorted; the draws depend on the names and the seed alone."""
    draws = generator(seed, stream_of(f"{photo.as_posix()}/{variant.suffix}"))
    return distort_image(image, variant.composition, draws)


class CopyWriter:
    """A folder of distorted copies (PNG) and its metadata.jsonl, which grows line by line.

    Parameters
    ----------
    folder : is made if need be.
    seed : of the draws inside the distortions.
    photos : the names, relative to the folder that they came from, of all photos to come.

    Raises
    ------
    UsageError
        if copies of two photos would have the same name, as of a.jpg and a.png, or if ``folder``
        cannot be made.
    ShamisaError
        if the folder already holds a metadata.jsonl.
    """

    def __init__(self, folder: Path, seed: int, photos: Sequence[PurePath]) -> None:
        _check_distinct(photos)
        self.folder = folder
        self.seed = seed
        self.metadata = folder / "metadata.jsonl"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            in_the_way = isinstance(error, (FileExistsError, NotADirectoryError))
            why = "a file is in the way" if in_the_way else system_reason(error)
            raise UsageError(f"{folder}: {why}; choose another folder") from error
        if self.metadata.exists():
            raise ShamisaError(f"{self.metadata} exists already; choose another folder")

    def write(self, image: Image.Image, photo: PurePath, plan: Plan) -> int:
        """Write the copies of one photo, in the folder that ``photo`` names; how many they are."""
        variants = [variant for row in plan.rows(photo) for variant in row]
        (self.folder / photo).parent.mkdir(parents=True, exist_ok=True)
        for variant in variants:
            name = photo.with_name(f"{photo.stem}_{variant.suffix}.png")
            distorted_copy(image, photo, variant, self.seed).save(self.folder / name)
            line = record(name, photo, variant)
            with self.metadata.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
        return len(variants)


def record(name: PurePath, photo: PurePath, variant: Variant) -> dict[str, Any]:
    """A line of metadata.jsonl: the functions in order of application, with λ and native value."""
    functions = []
    for (function, severity), native in zip(
        variant.composition.steps, variant.natives, strict=True
    ):
        made = ENTRIES[function].distortion
        applied = {"severity": round(severity, 6), "native": round(native, 6)}
        functions.append({"name": made.name, "category": made.category, **applied})
    file, reference = (escape_name(path.as_posix()) for path in (name, photo))
    return {"file": file, "reference": reference, "functions": functions}


class SheetRows:
    """Gathers the rows of a contact sheet: the middle of a photo, distorted."""

    def __init__(self, plan: Plan, seed: int) -> None:
        self.plan = plan
        self.seed = seed
        self.rows: list[list[Image.Image]] = []
        self.captions: list[list[str]] = []
        self.titles: list[str] = []
        self._photos = 0

    def add(self, image: Image.Image, photo: PurePath) -> None:
        """Add the rows of one photo, unless the sheet is full."""
        if self._photos == self.plan.photos_per_sheet:
            return
        self._photos += 1
        width, height = (min(SHEET_SIDE, extent) for extent in image.size)
        left, top = (image.width - width) // 2, (image.height - height) // 2
        middle = image.crop((left, top, left + width, top + height))
        for row in self.plan.rows(photo):
            self.rows.append([distorted_copy(middle, photo, v, self.seed) for v in row])
            self.captions.append([variant.caption for variant in row])
            self.titles.append(row[0].row if self.plan.photos_per_sheet == 1 else photo.stem)

    def draw(self) -> Image.Image:
        """The sheet."""
        return contact_sheet(self.rows, self.captions, row_titles=self.titles, cell=SHEET_SIDE)


def _check_distinct(photos: Sequence[PurePath]) -> None:
    seen: dict[PurePath, PurePath] = {}
    for photo in photos:
        other = seen.setdefault(photo.with_suffix(""), photo)
        if other is not photo:
            raise UsageError(
                f"copies of {other} and of {photo} would have the same names; rename one, "
                "or put them into two folders and give the folder above"
            )
