"""The Scorer: photos in, scores out, in order, whatever happens to any one of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar, overload

import numpy as np
from PIL import Image
from torch import Tensor

from shamisa_cli.encoders.features import CropBatches, FeatureExtractor
from shamisa_cli.encoders.threads import one_thread, one_thread_each
from shamisa_cli.errors import PhotoError, UsageError
from shamisa_cli.imaging.ahead import map_ahead
from shamisa_cli.imaging.decode import MAX_PIXELS
from shamisa_cli.imaging.hashing import perceptual_hash
from shamisa_cli.imaging.resample import resize
from shamisa_cli.models.head import Head
from shamisa_cli.scoring.notes import mean_gradient, note_of
from shamisa_cli.scoring.photos import File, Photo, decode_any, each_photo, is_batch, path_of
from shamisa_cli.scoring.score import FAILED, Score

T = TypeVar("T")

_MOST_WORKERS = 8
_MOST_SCORERS = 32
"""Each holds one photo and its activations: 0.1-0.3 GB."""


@dataclass(frozen=True)
class Prepared:
    """A photo that was decoded and cut into crops."""

    width: int
    height: int
    viewing_size: tuple[int, int]
    gradient: float | None
    crops: CropBatches
    phash: int | None = None


class Scorer:
    """A model, a head and a protocol; made by :func:`shamisa.load`.

    Attributes
    ----------
    model : the ``model`` column of its rows.
    head : its ``info`` says what it was fitted on, its range and direction.
    extractor : photos to features.
    hashes : whether scores have a perceptual hash; they have not unless it is set.
    """

    def __init__(
        self,
        extractor: FeatureExtractor,
        head: Head,
        *,
        model: str,
        max_pixels: int = MAX_PIXELS,
        workers: int | None = None,
        batch_size: int | None = None,
    ) -> None:
        for name, value, least in (
            ("workers", workers, 0),
            ("batch_size", batch_size, 1),
            ("max_pixels", max_pixels, 1),
        ):
            if value is not None and value < least:
                raise UsageError(f"{name} must be at least {least}, got {value}")
        self.extractor = extractor
        self.head = head
        self.model = model
        self.hashes = False
        self.max_pixels = max_pixels
        self.workers = self._default_workers() if workers is None else workers
        self.batch_size = extractor.photos_per_pass if batch_size is None else batch_size

    @overload
    def score(self, photo: File | Image.Image) -> Score: ...

    @overload
    def score(self, photo: Photo) -> Any: ...

    def score(self, photo: Photo) -> Score | list[Score]:
        """Score one photo; of a batch of pixels each photo, as a list.

        Parameters
        ----------
        photo : a path; the content of a file, as bytes; an open binary file, which is read from
            its start; a Pillow image; an array (H, W), (H, W, 3), (H, W, 4) or a batch of them
            (N, H, W, C); or a tensor (C, H, W), or a batch (N, C, H, W), on any device. Pixels are
            gray, RGB or RGBA; uint8, uint16, or floats in [0, 1].

        Raises
        ------
        PhotoError
            if it cannot be read; the message names the file and says what to do. TypeError if it
            is none of these.

        Examples
        --------
        >>> import shamisa
        >>> from PIL import Image, ImageFilter
        >>> from sklearn.datasets import load_sample_image
        >>> photo = Image.fromarray(load_sample_image("china.jpg"))
        >>> scorer = shamisa.load("fast", device="cpu", precision="fp32")
        >>> sharp = scorer.score(photo)
        >>> blurred = scorer.score(photo.filter(ImageFilter.GaussianBlur(4)))
        >>> print(f"{sharp.score:.0f} and {blurred.score:.0f}")
        94 and 5
        """
        if is_batch(photo):
            return [self.score(one) for one in photo]
        with one_thread() if self.alone else nullcontext():
            return self._score(photo)[0]

    def score_many(self, photos: Iterable[Photo] | np.ndarray | Tensor) -> Iterator[Score]:
        """Score photos in their order, in threads; memory stays bounded.

        On a CPU every thread decodes and scores a photo of its own; elsewhere threads decode ahead
        of the device. One that cannot be read becomes a Score whose status is ``failed`` and whose
        ``error`` says why; it never stops the others.

        Parameters
        ----------
        photos : what :meth:`score` takes, in any iterable, which is read lazily; or a batch of
            pixels, (N, H, W, C) or (N, C, H, W). Batches in an iterable stand for their photos.

        Raises
        ------
        TypeError
            if ``photos`` is a single photo, or nothing that can be gone through.

        Examples
        --------
        >>> import shamisa
        >>> from sklearn.datasets import load_sample_images
        >>> china, flower = load_sample_images().filenames
        >>> scorer = shamisa.load("fast", device="cpu", precision="fp32")
        >>> for score in scorer.score_many([china, "absent.jpg", flower]):
        ...     print(score.error or f"{score.score:.0f} {score.status}")
        94 ok
        no such file
        87 ok
        """
        return (score for score, _ in self.score_with_features(photos))

    def score_with_features(
        self, photos: Iterable[Photo] | np.ndarray | Tensor
    ) -> Iterator[tuple[Score, Tensor | None]]:
        """:meth:`score_many`, each score with the features (K, F) that it was made from.

        They are those of the one pass through the encoder; of a photo that failed there are none.
        """
        several = each_photo(photos)
        return self._score_apart(several) if self.alone else self._score_together(several)

    @property
    def alone(self) -> bool:
        """Whether each photo is scored by one thread; of tiles, one photo may be many passes."""
        return self.extractor.photos_per_pass == 1 and self.extractor.plan.kind != "tiles"

    def _default_workers(self) -> int:
        cores = os.cpu_count() or 1
        return min(cores, _MOST_SCORERS if self.alone else _MOST_WORKERS)

    def _score_apart(self, photos: Iterable[Photo]) -> Iterator[tuple[Score, Tensor | None]]:
        for photo, result in self.apart(self._score, photos):
            yield result if isinstance(result, tuple) else (self.failed(photo, result), None)

    def apart(
        self, work: Callable[[Photo], T], photos: Iterable[Photo]
    ) -> Iterator[tuple[Photo, T | Exception]]:
        """``work`` on each photo, a photo a thread, and what came of it, in order."""
        alone = work if self.workers else one_thread()(work)
        with one_thread_each() as initializer:
            yield from map_ahead(alone, photos, self.workers, initializer=initializer)

    def _score_together(self, photos: Iterable[Photo]) -> Iterator[tuple[Score, Tensor | None]]:
        """As many photos in a pass as the device takes, prepared ahead in threads."""
        at_once, workers = self.batch_size, self.workers
        ahead = 2 * workers + at_once
        if self.extractor.plan.kind == "tiles":  # decoded photos wait whole, not only their crops
            at_once, workers, ahead = 1, min(workers, 1), 1
        prepared = map_ahead(self.prepare, photos, workers, ahead)
        while group := list(islice(prepared, at_once)):
            ready = [result for _, result in group if isinstance(result, Prepared)]
            features = iter(self.extractor.features_of([photo.crops for photo in ready]))
            for photo, result in group:
                if isinstance(result, Prepared):
                    found = next(features)
                    yield self.scored(photo, result, found), found
                else:
                    yield self.failed(photo, result), None
            del group, ready, result  # a photo at native size should not outlive its row

    def _score(self, photo: Photo) -> tuple[Score, Tensor]:
        prepared = self.prepare(photo)
        features = self.extractor.features_of([prepared.crops])[0]
        return self.scored(photo, prepared, features), features

    def prepare(self, photo: Photo) -> Prepared:
        """Decode a photo and cut it; pure, for threads that work ahead."""
        decoded = decode_any(photo, self.extractor.protocol, self.max_pixels)
        size = self.extractor.viewing_size((decoded.width, decoded.height))
        view = resize(decoded.image, size)
        gradient = None if self.extractor.plan.kind == "tiles" else mean_gradient(view)
        phash = perceptual_hash(view) if self.hashes else None
        crops = self.extractor.cut(view)
        return Prepared(decoded.width, decoded.height, size, gradient, crops, phash)

    def scored(self, photo: Photo, prepared: Prepared, features: Tensor) -> Score:
        """The score of a photo by its features (K, F)."""
        result = self.head.score(features)
        padded = self.extractor.plan.pads(prepared.viewing_size)
        notes = ["padded"] if padded else []
        notes += ["clipped"] if result.clipped else []
        everyday = self.head.info.everyday
        return Score(
            path=path_of(photo),
            score=result.score,
            width=prepared.width,
            height=prepared.height,
            scored_width=prepared.viewing_size[0],
            scored_height=prepared.viewing_size[1],
            model=self.model,
            head=self.head.info.name,
            status="+".join(notes) or "ok",
            uncertainty=result.uncertainty,
            better_than=None if everyday is None else everyday.better_than(result.score),
            note=note_of(prepared.gradient, result.strangeness, padded=padded),
            raw=result.raw,
            head_info=self.head.info,
            phash=prepared.phash,
        )

    def failed(self, photo: Photo, error: Exception) -> Score:
        """The row of a photo that could not be scored."""
        path = path_of(photo)
        reason = str(error).removeprefix(f"{path}: ")
        if not isinstance(error, PhotoError):
            reason = f"{type(error).__name__}: {reason}"
        none = (None,) * 5
        facts = (self.model, self.head.info.name, FAILED, reason)
        return Score(path, *none, *facts, head_info=self.head.info)
