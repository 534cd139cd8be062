"""The features of many photos: decoded ahead, extracted once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from shamisa_cli.encoders.features import CropBatches, FeatureExtractor
from shamisa_cli.errors import PhotoError, UsageError
from shamisa_cli.imaging.ahead import map_ahead
from shamisa_cli.imaging.decode import decode
from shamisa_cli.probing.cache import FeatureCache, file_digest


def extract_features(
    paths: Sequence[Path],
    extractor: FeatureExtractor,
    *,
    cache: FeatureCache | None = None,
    workers: int = 2,
    progress: Callable[[int], object] = lambda done: None,
) -> Tensor:
    """(n, K, F) float32, K crops of each photo in the order of ``paths``.

    Parameters
    ----------
    paths : n ≥ 1 photos.
    extractor : encoder and protocol; every photo must give the same number of crops.
    cache : where finished ones are kept; an interrupted run goes on from there.
    workers : threads that decode.
    progress : called with 1 after each photo.

    Raises
    ------
    PhotoError
        for a photo that cannot be read; the message names it.
    """
    digests = [file_digest(path) if cache else "" for path in paths]
    result = torch.empty(0)
    for i, features in _each(paths, digests, extractor, cache, workers):
        if not result.numel():
            result = torch.empty(len(paths), *features.shape)
        if features.shape != result.shape[1:]:
            raise UsageError(
                "photos give different numbers of crops; probing needs the same for all: "
                "use a protocol with crops five or whole"
            )
        result[i] = features
        progress(1)
    return result


def _each(
    paths: Sequence[Path],
    digests: Sequence[str],
    extractor: FeatureExtractor,
    cache: FeatureCache | None,
    workers: int,
) -> Iterator[tuple[int, Tensor]]:
    """(index, features) of every photo, first of those that the cache holds.

    The caller copies them into one tensor at once: small tensors that stay, among large ones that
    come and go, would break up the heap (measured: 2 MB a photo).
    """
    missing = []
    for i, digest in enumerate(digests):
        features = cache.get(digest) if cache else None
        if features is None:
            missing.append(i)
        else:
            yield i, features
    made = _extracted([paths[i] for i in missing], extractor, workers)
    for i, features in zip(missing, made, strict=True):
        if cache:
            cache.put(digests[i], features)
        yield i, features


def _extracted(
    paths: Sequence[Path], extractor: FeatureExtractor, workers: int
) -> Iterator[Tensor]:
    """Features of each photo in order; decoded and cut in threads, some passes ahead."""
    waiting: list[CropBatches] = []
    ahead = 2 * max(workers, extractor.photos_per_pass)
    for path, crops in map_ahead(lambda p: extractor.crops(decode(p)), paths, workers, ahead):
        if isinstance(crops, Exception):
            raise PhotoError(f"{path}: {crops}") from crops
        waiting.append(crops)
        if len(waiting) == extractor.photos_per_pass:
            yield from extractor.features_of(waiting)
            waiting = []
    yield from extractor.features_of(waiting)
