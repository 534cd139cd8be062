"""Sidecars: the files beside photos that photo tools read ratings from (docs/photo-tools.md)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Literal

from shamisa_cli.errors import ShamisaError, UsageError, system_reason
from shamisa_cli.files import replacing
from shamisa_cli.imaging.raw import RAW_EXTENSIONS
from shamisa_cli.scoring.rated import rated_in_photo
from shamisa_cli.scoring.score import Score
from shamisa_cli.scoring.xmp import (
    MAX_BYTES,
    Verdict,
    XmpError,
    rated_by_a_person,
    rating_for,
    with_verdict,
)

Naming = Literal["digikam", "adobe"]
"""``photo.jpg.xmp``, as digiKam and darktable have it; or ``photo.xmp``, as Adobe has it."""

STARS = (20.0, 40.0, 60.0, 80.0)


@dataclass(frozen=True)
class Ratings:
    """How scores become ratings, and where these go.

    Attributes
    ----------
    stars : four rising scores, from which on there are 2, 3, 4 and 5 stars.
    reject_below : photos of lower scores are rejected (-1); None rejects none.
    naming : of the sidecars.
    """

    stars: tuple[float, ...] = STARS
    reject_below: float | None = None
    naming: Naming = "digikam"

    def __post_init__(self) -> None:
        if len(self.stars) != 4 or any(b <= a for a, b in pairwise(self.stars)):
            raise UsageError(
                "stars must be four rising scores, from which on there are 2, 3, 4 and 5 stars"
            )
        bounds = [*self.stars, *([] if self.reject_below is None else [self.reject_below])]
        if not all(0 <= bound <= 100 for bound in bounds):
            raise UsageError("stars and reject_below must be scores from 0 to 100")


def sidecar_path(photo: str, naming: Naming) -> Path:
    """The sidecar of ``photo``."""
    path = Path(photo)
    return path.with_suffix(".xmp") if naming == "adobe" else path.with_name(f"{path.name}.xmp")


def owners(photos: Iterable[str], naming: Naming) -> dict[Path, str]:
    """Each sidecar of ``photos``, and the photo that it is of.

    Where ``a.jpg`` and ``a.nef`` share ``a.xmp``, it is of the RAW photo: Adobe's programs keep
    what they know of a JPEG in the JPEG itself. Of photos of one kind the first one has it.
    """
    found: dict[Path, str] = {}
    for photo in photos:
        path = sidecar_path(photo, naming)
        if path not in found or (_is_raw(photo) and not _is_raw(found[path])):
            found[path] = photo
    return found


def write_sidecar(row: Score, ratings: Ratings) -> bool:
    """Put the score of ``row`` into the photo's sidecar; False if it is there already.

    What else is in the sidecar stays, a person's rating too; see :func:`xmp.with_verdict`. One in
    the photo itself, or in its sidecar of the other naming, counts likewise. The file is replaced
    whole or not at all.

    Raises
    ------
    ShamisaError
        if the sidecar is no XMP, could do harm, or cannot be written; it stays as it was.
    ValueError
        if ``row`` has no score.
    """
    if row.score is None:
        raise ValueError(f"{row.path} has no score")
    path = sidecar_path(row.path, ratings.naming)
    score = round(row.score, 4)  # as rows have it
    stars = rating_for(score, ratings.stars, ratings.reject_below)
    verdict = Verdict(f"{score:.4f}", row.model, row.head, stars)
    try:
        before = _content(path)
        after = with_verdict(before, verdict, partial(_rated_elsewhere, row.path, ratings.naming))
        if after == before:
            return False
        _replace(path, after, earlier=before is not None)
    except OSError as error:
        raise ShamisaError(f"{path}: cannot be written: {system_reason(error)}") from error
    except XmpError as error:
        raise ShamisaError(f"{path}: {error}") from error
    return True


def _rated_elsewhere(photo: str, naming: Naming) -> bool:
    other: Naming = "digikam" if naming == "adobe" else "adobe"
    if rated_in_photo(photo):
        return True
    with suppress(OSError, XmpError):
        content = _content(sidecar_path(photo, other))
        return content is not None and rated_by_a_person(content)
    return False


def _content(path: Path) -> bytes | None:
    """What is in a sidecar; None if there is none, or nothing in it."""
    if not path.exists():
        return None
    if not path.is_file():
        raise XmpError("is no ordinary file; move it away")
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1) or None


def _replace(path: Path, content: bytes, *, earlier: bool) -> None:
    with replacing(path) as part:
        with part.open("wb") as file:
            file.write(content)
            if earlier:  # work of a person may be in it
                file.flush()
                os.fsync(file.fileno())
        if earlier:
            shutil.copymode(path, part)


def _is_raw(photo: str) -> bool:
    return Path(photo).suffix.lower() in RAW_EXTENSIONS
