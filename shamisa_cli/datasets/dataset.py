"""What a dataset is: images, scores where higher is better, and reference identities."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import torch
from torch import Tensor

from shamisa_cli.errors import UsageError

MIN_IMAGES = 3
"""Fewer than this have no meaningful correlation."""


@dataclass(frozen=True)
class Row:
    """One image as the dataset's own files state it.

    Attributes
    ----------
    image : path relative to the dataset's folder.
    score : in the dataset's own units and direction.
    where : file and row, for messages.
    reference : path of its reference photo relative to the folder; "" if there is none.
    part : ``train``, ``val`` or ``test`` of the official split; "" if there is none.
    distortion : what was done to its reference, by the dataset's name for it; "" if unknown.
    severity : how strongly, as the dataset counts its levels; "" if unknown.
    """

    image: str
    score: float
    where: str
    reference: str = ""
    part: str = ""
    distortion: str = ""
    severity: str = ""


@dataclass(frozen=True)
class DatasetInfo:
    """What is known of a dataset before it is read.

    Attributes
    ----------
    name : by which it is opened.
    title : full name.
    n_images : images with a score.
    score_range : (lo, hi) of the dataset's own scores.
    higher_is_better : direction of the dataset's own scores.
    read : from the dataset's folder to its rows.
    layout : the files that :attr:`read` needs, for people.
    folders : usual names of its folder, any case.
    markers : files, any of which tells that a folder holds this dataset.
    url : where to get it.
    citation : how to cite it.
    n_references : reference photos; 0 if there are none.
    official_split : whether the official split is used unless random ones are asked for.
    short_side : photos are used at this short side at most (px), whatever the model's own is.
    """

    name: str
    title: str
    n_images: int
    score_range: tuple[float, float]
    higher_is_better: bool
    read: Callable[[Path], list[Row]]
    layout: str = ""
    folders: tuple[str, ...] = ()
    markers: tuple[str, ...] = ()
    url: str = ""
    citation: str = ""
    n_references: int = 0
    official_split: bool = False
    short_side: int | None = None


@dataclass(frozen=True, eq=False)
class Dataset:
    """A dataset whose files are all there.

    Attributes
    ----------
    info : what is known of it.
    images : n paths.
    scores : (n,) float64; higher is better (a DMOS becomes lo + hi − score).
    references : n identities; images with the same one are never in two parts of a split.
    reference_photos : n paths of the references, or empty if there are none.
    parts : n parts of the official split, or empty if there is none.
    distortions, severities : n names of distortions and of their levels, or empty if unknown.
    """

    info: DatasetInfo
    images: tuple[Path, ...]
    scores: Tensor
    references: tuple[str, ...]
    reference_photos: tuple[Path, ...] = ()
    parts: tuple[str, ...] = ()
    distortions: tuple[str, ...] = ()
    severities: tuple[str, ...] = ()


class NameFinder:
    """Finds files below ``folder`` by name, whatever its case: releases mix I01 and i01.

    State: the listing of each folder that was looked into.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._listings: dict[Path, dict[str, Path]] = {}

    def find(self, relative: str) -> Path | None:
        """The path of ``relative`` (parts separated by /), the exact name if it exists, or None."""
        here = self.folder
        for part in PurePosixPath(relative.replace("\\", "/")).parts:
            if part in ("..", "/") or ":" in part:
                exact = self.folder / relative
                return exact if exact.is_file() else None
            listing = self._listing(here)
            child = listing.get(part) or listing.get(part.casefold())
            if child is None:
                return None
            here = child
        return here if here.is_file() else None

    def _listing(self, folder: Path) -> dict[str, Path]:
        """Children by exact and by folded name; exact names win."""
        if folder not in self._listings:
            children = sorted(folder.iterdir()) if folder.is_dir() else []
            folded = {child.name.casefold(): child for child in children}
            self._listings[folder] = folded | {child.name: child for child in children}
        return self._listings[folder]


def oriented(score: float, info: DatasetInfo) -> float:
    """A score of the dataset such that higher is better, in the same units; its own inverse."""
    low, high = info.score_range
    return score if info.higher_is_better else low + high - score


def build_dataset(info: DatasetInfo, folder: Path, rows: Sequence[Row]) -> Dataset:
    """Check the rows and find their files; a UsageError names the files and rows that are wrong."""
    _check_rows(info.name, rows)
    finder = NameFinder(folder)
    images = _found(finder, info.name, "images", [(row.image, row.where) for row in rows])
    with_reference = [(row.reference, row.where) for row in rows if row.reference]
    references: list[Path] = []
    if len(with_reference) == len(rows):
        references = _found(finder, info.name, "reference photos", with_reference)
    return Dataset(
        info,
        tuple(images),
        torch.tensor([oriented(row.score, info) for row in rows], dtype=torch.float64),
        tuple(row.reference.casefold() or row.image for row in rows),
        tuple(references),
        *(
            _if_any([getattr(row, name) for row in rows])
            for name in ("part", "distortion", "severity")
        ),
    )


def _if_any(values: Sequence[str]) -> tuple[str, ...]:
    """``values``, or nothing where none of them says anything."""
    return tuple(values) if any(values) else ()


def _check_rows(name: str, rows: Sequence[Row]) -> None:
    """Refuse rows that cannot be evaluated; the message names the row."""
    if len(rows) < MIN_IMAGES:
        raise UsageError(f"{name}: {len(rows)} scored images, at least {MIN_IMAGES} are needed")
    seen: dict[str, str] = {}
    for row in rows:
        if not math.isfinite(row.score):
            raise UsageError(f"{row.where}: the score of {row.image} is {row.score}, not a number")
        if row.image in seen:
            raise UsageError(f"{row.where}: {row.image} was already listed in {seen[row.image]}")
        seen[row.image] = row.where
    if len({row.score for row in rows}) == 1:
        raise UsageError(
            f"{rows[0].where} to {rows[-1].where}: every score is {rows[0].score:g}; "
            "there is nothing to learn from constant scores"
        )


def _found(
    finder: NameFinder, name: str, kind: str, wanted: Sequence[tuple[str, str]]
) -> list[Path]:
    """The paths of ``wanted`` (relative path, where), or an error that lists what is missing."""
    found = [finder.find(path) for path, _ in wanted]
    missing = [
        f"{path} ({where})" for (path, where), hit in zip(wanted, found, strict=True) if hit is None
    ]
    if missing:
        some = ", ".join(missing[:5]) + (", …" if len(missing) > 5 else "")
        raise UsageError(
            f"{name}: {len(missing)} of {len(wanted)} {kind} are missing in {finder.folder}: {some}"
            "; paths are relative to that folder, or to another root"
        )
    return [hit for hit in found if hit is not None]
