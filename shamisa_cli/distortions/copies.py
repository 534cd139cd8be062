"""Distorted copies of photos with a record of what was done: KADID-like and KADIS-like sets."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import torch
from PIL import Image

from shamisa_cli.distortions.composition import Composition, sample_composition
from shamisa_cli.distortions.pictures import distort_image
from shamisa_cli.distortions.registry import DISTORTIONS, ENTRIES, get_entries
from shamisa_cli.distortions.severity import native_value, quantize_severity
from shamisa_cli.errors import ShamisaError, UsageError, system_reason
from shamisa_cli.files import is_ours, write_whole, writing
from shamisa_cli.imaging.save import save_picture
from shamisa_cli.seeds import generator
from shamisa_cli.spelling import escape_name, unescape_name

COMPOSITION = "composition"
"""What the rows of compositions are called, where others have the name of a distortion."""

LABELS = "labels.csv"
"""The table of scores beside metadata.jsonl, if there is one."""

Measure = Callable[[Image.Image, Image.Image], float]
"""How far a copy is from its photo."""


@dataclass(frozen=True)
class Variant:
    """One distorted copy.

    Attributes
    ----------
    row : the name of the distortion, or :data:`COMPOSITION`.
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
        return [native_value(ENTRIES[f], severity) for f, severity in self.composition.steps]


@dataclass(frozen=True)
class Plan:
    """Which copies are made of a photo.

    Attributes
    ----------
    rows : the variants of a photo, in rows; its name is one that no other photo of the set has.
    photos_per_sheet : how many photos a contact sheet shows, each in one row if several.
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
        return [[Variant(COMPOSITION, n, sample_composition(draws)) for n in numbers]]

    return Plan(rows, photos_per_sheet=24)


def single_plan(count: int, seed: int) -> Plan:
    """``count`` copies by one distortion each, all others before any comes again; λ is uniform.

    Drawn from the seed and the photo's name alone.
    """

    def rows(photo: PurePath) -> list[list[Variant]]:
        draws = generator(seed, stream_of(photo.as_posix()))
        names = list(DISTORTIONS)
        made: list[tuple[int, Composition]] = []
        while len(made) < count:
            for kind in torch.randperm(len(names), generator=draws).tolist():
                entries = get_entries(names[kind])
                sign, severity = torch.rand(2, dtype=torch.float64, generator=draws)
                entry = entries[int(sign * len(entries))]
                applied = quantize_severity(ENTRIES[entry].distortion, severity).item()
                made.append((entry, Composition((entry,), (applied,))))
        numbered = enumerate(made[:count], 1)
        return [[Variant(ENTRIES[entry].name, n, step) for n, (entry, step) in numbered]]

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
    overwrite : remove an earlier set of copies: those that its metadata.jsonl lists.
    measure : of a photo and its copy, recorded as ``mdsi``; None records nothing.

    Raises
    ------
    UsageError
        if copies of two photos would have the same name, as of a.jpg and a.png, or if ``folder``
        cannot be made, or holds files already.
    """

    def __init__(
        self,
        folder: Path,
        seed: int,
        photos: Sequence[PurePath],
        overwrite: bool = False,
        measure: Measure | None = None,
    ) -> None:
        _check_distinct(photos)
        self.folder = folder
        self.seed = seed
        self.measure = measure
        self.metadata = folder / "metadata.jsonl"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            in_the_way = isinstance(error, (FileExistsError, NotADirectoryError))
            why = "a file is in the way" if in_the_way else system_reason(error)
            raise UsageError(f"{folder}: {why}; choose another folder") from error
        if self.metadata.exists() and not overwrite:
            raise UsageError(
                f"{self.metadata} exists already; replace that set of copies with overwrite, or "
                "choose another folder"
            )
        if self.metadata.exists():
            _remove_copies(folder, self.metadata)
        elif any(not each.name.startswith(".") for each in folder.iterdir()):
            raise UsageError(f"{folder}: holds files that are no copies; choose another folder")

    def write(self, image: Image.Image, photo: PurePath, plan: Plan) -> int:
        """Write the copies of one photo, in the folder that ``photo`` names; how many they are."""
        variants = [variant for row in plan.rows(photo) for variant in row]
        (self.folder / photo).parent.mkdir(parents=True, exist_ok=True)
        for variant in variants:
            name = photo.with_name(f"{photo.stem}_{variant.suffix}.png")
            path = self.folder / name
            if path.exists():
                raise ShamisaError(f"{path}: is in the way, and no copy of ours; move it away")
            made = distorted_copy(image, photo, variant, self.seed)
            with writing(path):
                save_picture(made, path)
            facts = record(name, photo, variant)
            if self.measure is not None:
                facts["mdsi"] = round(self.measure(image, made), 6)
            line = json.dumps(facts, ensure_ascii=False) + "\n"
            with writing(self.metadata), self.metadata.open("ab", buffering=0) as file:
                write_whole(file, file.seek(0, os.SEEK_END), line.encode())
        return len(variants)


def _remove_copies(folder: Path, metadata: Path) -> None:
    """Remove the copies that ``metadata`` lists, where they are ours still, it and its labels."""
    with writing(metadata):
        for line in metadata.read_bytes().splitlines():
            with suppress(ValueError, KeyError, TypeError, FileNotFoundError):
                name = unescape_name(json.loads(line)["file"])
                if ".." not in PurePath(name).parts and is_ours(folder / name):
                    (folder / name).unlink()
        labels = folder / LABELS
        if labels.is_file() and is_ours(labels):
            labels.unlink()
        metadata.unlink()


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


def _check_distinct(photos: Sequence[PurePath]) -> None:
    seen: dict[PurePath, PurePath] = {}
    for photo in photos:
        other = seen.setdefault(photo.with_suffix(""), photo)
        if other is not photo:
            raise UsageError(
                f"copies of {other} and of {photo} would have the same names; rename one, "
                "or put them into two folders and give the folder above"
            )
