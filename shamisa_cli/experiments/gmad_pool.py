"""The pool of a gMAD competition: pictures that are made, or lie in a folder, one after the other.

What is held of a picture is how to see it again, never its pixels.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from shamisa_cli.distortions.pictures import LEVELS, ladder_images
from shamisa_cli.distortions.registry import DISTORTIONS
from shamisa_cli.encoders.threads import one_thread, one_thread_each
from shamisa_cli.errors import PhotoError, UsageError
from shamisa_cli.evaluation.feature_cache import file_digest
from shamisa_cli.evaluation.frozen_encoder import Skip, named_error
from shamisa_cli.imaging.ahead import map_ahead
from shamisa_cli.imaging.decode import decode
from shamisa_cli.imaging.paths import PassBy, list_photos
from shamisa_cli.imaging.resample import limit_short_side

SHORT_SIDE = 512
"""px; photos are shrunk to this before they are distorted."""

PRISTINE = "pristine_images"
"""The folder by which a pool is known as Waterloo Exploration."""
_OF_WATERLOO = re.compile(r"(?P<photo>\w+?)_(?P<kind>\d+)_(?P<level>\d+)")


@dataclass(frozen=True)
class Picture:
    """One picture of a pool.

    Attributes
    ----------
    path : the file that it is, or that it is made of.
    done : what was done to the photo, for people; "" if that is not known.
    distortion, level : of the engine: its name, and 1-5; "" and 0 for a file as it is.
    seed : of the draws in the distortion.
    reference : the file of the photo as it was; None if that is not known.
    """

    path: Path
    done: str = ""
    distortion: str = ""
    level: int = 0
    seed: int = 0
    reference: Path | None = None


class Pool(Protocol):
    """Where the pictures of a competition come from."""

    @property
    def count(self) -> int:
        """How many pictures there are, if every photo can be read."""

    def stream(self, skip: Skip) -> Iterator[tuple[Picture, Image.Image | Path]]:
        """Each picture, in the order of the pool, with what a Scorer takes."""

    def see(self, picture: Picture) -> Image.Image:
        """The picture once more, 8-bit RGB."""

    def see_reference(self, picture: Picture) -> Image.Image:
        """The photo as it was before it became ``picture``, 8-bit RGB."""


@dataclass(frozen=True)
class MadePool:
    """Each photo under each of the 24 distortions, at five levels of severity.

    Attributes
    ----------
    photos : the files.
    seed : with the content of a photo it decides every draw, whatever other photos there are.
    short_side : px, to which photos are shrunk first; None leaves them as they are.
    workers : threads that distort.
    """

    photos: Sequence[Path]
    seed: int = 0
    short_side: int | None = SHORT_SIDE
    workers: int = 2

    @property
    def count(self) -> int:
        return len(self.photos) * len(DISTORTIONS) * len(LEVELS)

    def stream(self, skip: Skip) -> Iterator[tuple[Picture, Image.Image]]:
        with one_thread_each() as initializer:
            made = map_ahead(
                _ladder, self._tasks(skip), self.workers, self.workers, initializer=initializer
            )
            for (path, _, name, seed), rungs in made:
                if isinstance(rungs, Exception):
                    skip(named_error(path, rungs))
                    continue
                for level, rung in enumerate(rungs, 1):
                    done = f"{name}, level {level} of {len(LEVELS)}"
                    yield Picture(path, done, name, level, seed, path), rung

    def see(self, picture: Picture) -> Image.Image:
        photo = self.see_reference(picture)
        severity = LEVELS[picture.level - 1]
        with one_thread():
            return ladder_images(photo, picture.distortion, picture.seed, (severity,))[0]

    def see_reference(self, picture: Picture) -> Image.Image:
        return limit_short_side(decode(picture.path), self.short_side)

    def _tasks(self, skip: Skip) -> Iterator[tuple[Path, Image.Image, str, int]]:
        """(file, photo, distortion, seed): a photo is read when its turn comes."""
        for path in self.photos:
            try:
                digest = file_digest(path)
                photo = limit_short_side(decode(path), self.short_side)
            except PhotoError as error:
                skip(named_error(path, error))
                continue
            for name in DISTORTIONS:
                text = hashlib.sha256(f"{digest} {name} {self.seed}".encode()).hexdigest()
                yield path, photo, name, int(text[:12], 16)


@dataclass(frozen=True)
class FolderPool:
    """The pictures of a folder, as they are.

    Of the Waterloo Exploration Database (Ma et al., IEEE TIP 26(2), 2017) it is known which
    pictures show the same photo. It is recognized by a folder ``pristine_images``. A picture
    elsewhere belongs to the pristine one with the same number, whatever its ending:
    ``distorted_images/00001_1_5.bmp`` and ``distorted_images/1/5/00001.bmp`` are distortion 1 of
    ``pristine_images/00001.bmp`` at level 5.
    """

    pictures: tuple[Picture, ...] = field(repr=False)

    @property
    def count(self) -> int:
        return len(self.pictures)

    def stream(self, skip: Skip) -> Iterator[tuple[Picture, Path]]:
        for picture in self.pictures:
            yield picture, picture.path

    def see(self, picture: Picture) -> Image.Image:
        return decode(picture.path)

    def see_reference(self, picture: Picture) -> Image.Image:
        if picture.reference is None:
            raise PhotoError(f"{picture.path}: its reference photo is not known")
        return decode(picture.reference)


def open_pool(
    folder: Path, *, follow_links: bool = False, pass_by: PassBy = lambda path: None
) -> FolderPool:
    """The pictures of ``folder`` and its sub-folders; a UsageError if there are fewer than two."""
    paths = list_photos(folder, follow_links=follow_links, pass_by=pass_by)
    if len(paths) < 2:
        raise UsageError(f"{folder}: {len(paths)} pictures; a pool needs two at least")
    pristine = {path.stem: path for path in paths if path.parent.name == PRISTINE}
    return FolderPool(tuple(_known(path, folder, pristine) for path in paths))


def photo_numbers(pictures: Sequence[Picture]) -> NDArray[np.int64]:
    """(n,) a number for each photo; a picture whose photo is not known has one of its own."""
    numbers: dict[Path, int] = {}
    photos = (picture.reference or picture.path for picture in pictures)
    return np.array([numbers.setdefault(photo, len(numbers)) for photo in photos], np.int64)


def _known(path: Path, folder: Path, pristine: dict[str, Path]) -> Picture:
    """What the name of a picture says by the layout of Waterloo Exploration."""
    if pristine.get(path.stem) == path:
        return Picture(path, "as it is", reference=path)
    named = _OF_WATERLOO.fullmatch(path.stem)
    above = path.relative_to(folder).parts[-3:-1]
    if named and named["photo"] in pristine:
        photo, kind, level = named["photo"], named["kind"], named["level"]
    elif path.stem in pristine and len(above) == 2 and all(each.isdecimal() for each in above):
        photo, (kind, level) = path.stem, above
    else:
        return Picture(path)
    return Picture(path, f"distortion {kind}, level {level}", reference=pristine[photo])


def _ladder(task: tuple[Path, Image.Image, str, int]) -> list[Image.Image]:
    _, photo, name, seed = task
    return ladder_images(photo, name, seed)
