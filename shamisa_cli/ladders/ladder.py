"""Severity ladders: does a score fall as our own distortions grow? No human scores are needed.

A ladder is one photo under one distortion at λ = 0, ¼, ½, ¾, 1, everything else the same: the draws
inside the function (noise, places, angles) start from the same seed at every level.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from PIL import Image
from scipy import stats
from torch import Tensor

from shamisa_cli.distortions.pictures import LEVELS, ladder_images
from shamisa_cli.distortions.registry import DISTORTIONS
from shamisa_cli.encoders.features import FeatureExtractor
from shamisa_cli.errors import PhotoError, UsageError
from shamisa_cli.evaluation.feature_cache import FeatureCache, file_digest
from shamisa_cli.evaluation.frozen_encoder import FrozenEncoder, Skip, named_error
from shamisa_cli.evaluation.measures import Array
from shamisa_cli.evaluation.report import Cells, csv_text
from shamisa_cli.imaging.ahead import map_ahead
from shamisa_cli.imaging.decode import decode
from shamisa_cli.imaging.paths import list_photos
from shamisa_cli.imaging.resample import resize
from shamisa_cli.progress import progress_bar

MIN_PHOTOS = 5
"""So that there are some to fit, to choose and to measure."""

T = TypeVar("T")


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


def draw(items: Sequence[T], count: int | None, seed: int) -> list[T]:
    """``count`` of ``items`` (all, if there are fewer) in random order; all in order for None."""
    if count is None:
        return list(items)
    order = torch.randperm(len(items), generator=torch.Generator().manual_seed(seed))
    return [items[i] for i in order[:count].tolist()]


def draw_photos(folder: Path, count: int, seed: int) -> list[Path]:
    """Photos of ``folder`` to make ladders of; too few are refused."""
    photos = draw(list_photos(folder), count, seed)
    check_photos(folder, len(photos))
    return photos


def check_photos(folder: Path, count: int) -> None:
    """Refuse ladders of fewer than :data:`MIN_PHOTOS` photos of ``folder``."""
    if count < MIN_PHOTOS:
        raise UsageError(f"{folder}: {count} photos; ladders need at least {MIN_PHOTOS}")


def extract_ladders(
    frozen: FrozenEncoder,
    photos: Sequence[Path],
    skip: Skip,
    per_photo: int | None = None,
    seed: int = 0,
) -> Ladders:
    """Ladders of photos, made at the size at which the encoder views them.

    Parameters
    ----------
    frozen : its workers distort, some ladders ahead of the encoder; its cache keeps what is done.
    skip : called with the error of each photo that cannot be read.
    per_photo : distortions a photo; default all 24. Fewer are dealt out in turn, so that every
        distortion is met equally often.
    seed : with the content of a photo it decides every draw, whatever else is in ``photos``.
    """
    names = list(DISTORTIONS)
    count = len(names) if per_photo is None else min(per_photo, len(names))
    extractor, cache = frozen.tools()
    features = torch.empty(len(photos) * count, len(LEVELS), extractor.size)
    distortions: list[str] = []
    owners: list[Path] = []
    with progress_bar(len(photos), "ladders", quiet=frozen.quiet) as bar:
        for path in photos:
            at = len(owners)
            dealt = [names[(at + k) % len(names)] for k in range(count)]
            made = _photo_ladders(path, dealt, extractor, seed, cache, frozen.workers)
            try:
                for k, ladder in enumerate(made):
                    features[at + k] = ladder
            except PhotoError as error:
                skip(named_error(path, error))
            else:
                distortions += dealt
                owners += [path] * count
            bar.update()
    return Ladders(features[: len(owners)], tuple(distortions), tuple(owners))


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
    if missing:  # distortions are applied at the size at which the photo is viewed
        photo = decode(path)
        photo = resize(photo, extractor.viewing_size(photo.size))

    def rungs(i: int) -> list[Image.Image]:
        return ladder_images(photo, names[i], int(digests[i][:12], 16))

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


def score_ladders(ladders: Ladders, w: Tensor) -> dict[str, LadderResult]:
    """The figures of a linear regressor (F,), higher being better; see :func:`evaluate_ladders`."""
    return evaluate_ladders((ladders.features.double() @ w.double()).numpy(), ladders.distortions)


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


def ladder_cells(results: dict[str, LadderResult]) -> Cells:
    """A line for each distortion."""
    header = ["distortion", "ladders", "in order", "Kendall τ"]
    return [header] + [
        [name, str(result.ladders), f"{result.in_order:.3f}", f"{result.tau:+.3f}"]
        for name, result in results.items()
    ]


def ladder_csv(results: dict[str, LadderResult]) -> str:
    """The same as CSV, with all decimals."""
    header = ["distortion", *(each.name for each in fields(LadderResult))]
    return csv_text([header, *([name, *astuple(result)] for name, result in results.items())])


def _result(scores: Array) -> LadderResult:
    taus = [stats.kendalltau(np.negative(LEVELS), row).statistic for row in scores]
    in_order = float(np.mean(np.diff(scores, axis=1) < 0))
    return LadderResult(len(scores), in_order, float(np.mean(np.nan_to_num(taus))))
