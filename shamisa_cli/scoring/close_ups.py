"""How good a photo looks close up: blur of a few pixels is gone where a large photo is shrunk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from statistics import fmean

from PIL import Image

from shamisa_cli.encoders.threads import one_thread
from shamisa_cli.errors import PhotoError
from shamisa_cli.imaging.closeup import sharpest_boxes
from shamisa_cli.imaging.decode import decode
from shamisa_cli.scoring.scorer import Scorer

PLACES = 3
"""Of three, one without the subject costs little; of one, the place decides."""


def close_up(scorer: Scorer, path: str) -> float:
    """The mean score, 0-100, of the sharpest places of a photo at full size.

    A place is a square as wide as the short side at which the scorer sees a whole photo. Of a photo
    that it sees at full size anyway, it is the photo's score.

    Raises
    ------
    PhotoError
        if the photo cannot be read; the message names the file and says what to do.
    """
    photo = decode(path, max_pixels=scorer.max_pixels)
    seen = scorer.extractor.viewing_size(photo.size)
    with one_thread() if scorer.alone else nullcontext():
        if seen == photo.size:
            return _score(scorer, photo)
        boxes = sharpest_boxes(photo, min(seen), PLACES)
        return fmean(_score(scorer, photo.crop(box)) for box in boxes)


def close_ups(scorer: Scorer, paths: Iterable[str]) -> Iterator[tuple[str, float | None]]:
    """:func:`close_up` of each photo, in order; None for one that cannot be read."""
    for path, result in scorer.apart(lambda photo: close_up(scorer, str(photo)), paths):
        if isinstance(result, Exception) and not isinstance(result, PhotoError):
            raise result
        yield str(path), None if isinstance(result, Exception) else result


def _score(scorer: Scorer, picture: Image.Image) -> float:
    return scorer.head.score(scorer.extractor.features(picture)).score
