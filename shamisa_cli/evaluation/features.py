"""The features of many photos: decoded ahead, extracted once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from shamisa_cli.encoders.features import CropBatches, FeatureExtractor
from shamisa_cli.errors import PhotoError, UsageError
from shamisa_cli.evaluation.feature_cache import FeatureCache, file_digest
from shamisa_cli.imaging.ahead import map_ahead
from shamisa_cli.imaging.decode import decode

MAX_NAMED = 10
"""Photos that cannot be read, of those that one message names."""


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
        if photos cannot be read, once all others are done; the message names them.
    """
    result = torch.empty(0)
    broken: list[PhotoError] = []
    for i, features in _each(paths, extractor, cache, workers):
        if isinstance(features, PhotoError):
            broken.append(features)
            continue
        if not result.numel():
            result = torch.empty(len(paths), *features.shape)
        if features.shape != result.shape[1:]:
            raise UsageError(
                "photos give different numbers of crops; probing needs the same for all: "
                "use a protocol with crops five or whole"
            )
        result[i] = features
        progress(1)
    if broken:
        shown = [str(error) for error in broken[:MAX_NAMED]]
        more = [f"and {len(broken) - MAX_NAMED} more"] if len(broken) > MAX_NAMED else []
        raise PhotoError("\n".join([*shown, *more]))
    return result


def extract_means(
    paths: Sequence[Path],
    extractor: FeatureExtractor,
    *,
    cache: FeatureCache | None = None,
    workers: int = 2,
    progress: Callable[[int], object] = lambda done: None,
    unreadable: Callable[[PhotoError], object],
) -> tuple[list[int], Tensor]:
    """Which m of the photos can be read, and (m, F) float32, the mean over the crops of each.

    Parameters
    ----------
    paths, extractor, cache, workers, progress : as for :func:`extract_features`; here photos may
        give different numbers of crops.
    unreadable : called with the error of each photo that is left out; the message names it.
    """
    means: list[Tensor | None] = [None] * len(paths)
    for i, features in _each(paths, extractor, cache, workers):
        if isinstance(features, PhotoError):
            unreadable(features)
        else:
            means[i] = features.mean(0)
        progress(1)
    kept = [i for i, mean in enumerate(means) if mean is not None]
    found = [mean for mean in means if mean is not None]
    return kept, torch.stack(found) if found else torch.empty(0, extractor.size)


def _each(
    paths: Sequence[Path],
    extractor: FeatureExtractor,
    cache: FeatureCache | None,
    workers: int,
) -> Iterator[tuple[int, Tensor | PhotoError]]:
    """(index, features) of every photo, or why there are none; first of those in the cache.

    The caller copies them into one tensor at once: small tensors that stay, among large ones that
    come and go, would break up the heap (measured: 2 MB a photo).
    """
    missing: list[tuple[int, str]] = []
    for i, path in enumerate(paths):
        digest = _digest(path) if cache else ""
        features = cache.get(digest) if cache and digest else None
        if features is None:
            missing.append((i, digest))
        else:
            yield i, features
    made = _extracted([paths[i] for i, _ in missing], extractor, workers)
    for (i, digest), result in zip(missing, made, strict=True):
        if cache and digest and not isinstance(result, PhotoError):
            cache.put(digest, result)
        yield i, result


def _digest(path: Path) -> str:
    """Of the content; "" for a file that cannot be read, of which decoding says why."""
    try:
        return file_digest(path)
    except PhotoError:
        return ""


def _extracted(
    paths: Sequence[Path], extractor: FeatureExtractor, workers: int
) -> Iterator[Tensor | PhotoError]:
    """Features of each photo in order; decoded and cut in threads, some passes ahead."""
    waiting: list[CropBatches | PhotoError] = []
    ahead = 2 * max(workers, extractor.photos_per_pass)
    for path, crops in map_ahead(lambda p: extractor.cut(decode(p)), paths, workers, ahead):
        waiting.append(named_error(path, crops) if isinstance(crops, Exception) else crops)
        if len(waiting) == extractor.photos_per_pass:
            yield from _pass(waiting, extractor)
            waiting = []
    yield from _pass(waiting, extractor)


def named_error(path: Path, error: Exception) -> PhotoError:
    """Why a photo cannot be used, with its path in front once."""
    return PhotoError(f"{path}: {str(error).removeprefix(f'{path}: ')}")


def _pass(
    waiting: Sequence[CropBatches | PhotoError], extractor: FeatureExtractor
) -> Iterator[Tensor | PhotoError]:
    """The features of those that could be read, in one pass; the errors in their places."""
    ready = [crops for crops in waiting if not isinstance(crops, PhotoError)]
    features = iter(extractor.features_of(ready))
    for crops in waiting:
        yield crops if isinstance(crops, PhotoError) else next(features)
