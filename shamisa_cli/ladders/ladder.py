"""Severity ladders: does a score fall as our own distortions grow? No human scores are needed.

A ladder is one photo under one distortion at λ = 0, ¼, ½, ¾, 1, everything else the same: the draws
inside the function (noise, places, angles) start from the same seed at every level.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy import stats
from torch import Tensor

from shamisa_cli.distortions.pictures import LEVELS, ladder_images
from shamisa_cli.distortions.registry import DISTORTIONS
from shamisa_cli.encoders.features import FeatureExtractor
from shamisa_cli.errors import PhotoError
from shamisa_cli.evaluation.feature_cache import FeatureCache, file_digest
from shamisa_cli.evaluation.features import named_error
from shamisa_cli.evaluation.measures import Array
from shamisa_cli.imaging.ahead import map_ahead
from shamisa_cli.imaging.decode import decode
from shamisa_cli.imaging.resample import resize


@dataclass(frozen=True, eq=False)
class Ladders:
    """Features of n ladders.

    Attributes
    ----------
    features : (n, 5, F) float32, the mean over the crops at each level; a score is linear in it.
    distortions : n names.
    photos : n paths, which photo each ladder shows.
    """

    features: Tensor
    distortions: tuple[str, ...]
    photos: tuple[Path, ...]

    def select(self, keep: Sequence[bool]) -> Ladders:
        """The ladders where ``keep`` (n,) is true."""
        at = [i for i, kept in enumerate(keep) if kept]
        return Ladders(
            self.features[at],
            tuple(self.distortions[i] for i in at),
            tuple(self.photos[i] for i in at),
        )


@dataclass(frozen=True)
class LadderResult:
    """How well scores follow severity, over the ladders of one distortion (or of all).

    Attributes
    ----------
    ladders : their number.
    in_order : share of adjacent levels of which the milder has the higher score; 0-1.
    tau : mean over the ladders of Kendall's τ between −λ and the score; -1 to 1.
    """

    ladders: int
    in_order: float
    tau: float


def extract_ladders(
    photos: Sequence[Path],
    extractor: FeatureExtractor,
    *,
    per_photo: int | None = None,
    seed: int = 0,
    cache: FeatureCache | None = None,
    workers: int = 2,
    progress: Callable[[int], object] = lambda done: None,
    unreadable: Callable[[PhotoError], object],
) -> Ladders:
    """Ladders of photos, made at the size at which the extractor looks at them.

    Parameters
    ----------
    per_photo : distortions a photo; default all 24. Fewer are dealt out in turn, so that every
        distortion is met equally often.
    seed : with the content of a photo it decides every draw, whatever else is in ``photos``.
    cache : where finished ones are kept; an interrupted run goes on from there.
    workers : threads that distort, some ladders ahead of the encoder.
    progress : called with 1 after each photo.
    unreadable : called with the error of each photo that is left out; the message names it.
    """
    names = list(DISTORTIONS)
    count = len(names) if per_photo is None else min(per_photo, len(names))
    features = torch.empty(len(photos) * count, len(LEVELS), extractor.size)
    distortions: list[str] = []
    owners: list[Path] = []
    for path in photos:
        at = len(owners)
        dealt = [names[(at + k) % len(names)] for k in range(count)]
        try:
            for k, ladder in enumerate(
                _photo_ladders(path, dealt, extractor, seed, cache, workers)
            ):
                features[at + k] = ladder
        except PhotoError as error:
            unreadable(named_error(path, error))
        else:
            distortions += dealt
            owners += [path] * count
        progress(1)
    return Ladders(features[: len(owners)], tuple(distortions), tuple(owners))


def evaluate_ladders(scores: Array, distortions: Sequence[str]) -> dict[str, LadderResult]:
    """Per distortion, and under ``all`` over every ladder.

    Parameters
    ----------
    scores : (n, 5), higher is better; a tie counts as out of order.
    distortions : n names.
    """
    names = np.array(distortions)
    groups = {"all": np.full(len(names), True)}
    groups |= {name: names == name for name in dict.fromkeys(distortions)}
    return {name: _result(scores[members]) for name, members in groups.items()}


def _result(scores: Array) -> LadderResult:
    taus = [stats.kendalltau(np.negative(LEVELS), row).statistic for row in scores]
    in_order = float(np.mean(np.diff(scores, axis=1) < 0))
    return LadderResult(len(scores), in_order, float(np.mean(np.nan_to_num(taus))))


def _viewed(path: Path, extractor: FeatureExtractor) -> Image.Image:
    """The photo at the size at which it is looked at, which is where distortions are applied."""
    photo = decode(path)
    return resize(photo, extractor.viewing_size(photo.size))


def _photo_ladders(
    path: Path,
    names: Sequence[str],
    extractor: FeatureExtractor,
    seed: int,
    cache: FeatureCache | None,
    workers: int,
) -> Iterator[Tensor]:
    """(5, F) for each of ``names``; those that are not in the cache are distorted ahead."""
    content = file_digest(path)
    digests = [hashlib.sha256(f"{content} {name} {seed}".encode()).hexdigest() for name in names]
    known = [cache.get(digest) if cache else None for digest in digests]
    missing = [i for i, features in enumerate(known) if features is None]
    viewed = _viewed(path, extractor) if missing else None

    def rungs(i: int) -> list[Image.Image]:
        assert viewed is not None
        return ladder_images(viewed, names[i], int(digests[i][:12], 16))

    made = map_ahead(rungs, missing, workers, ahead=workers)
    for digest, features in zip(digests, known, strict=True):
        if features is None:
            _, images = next(made)
            if isinstance(images, Exception):
                raise images
            features = torch.stack([each.mean(0) for each in extractor.features_many(images)])
            if cache:
                cache.put(digest, features)
        yield features
