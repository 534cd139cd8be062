"""The features that a frozen encoder gives of many photos: decoded ahead, extracted once."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from shamisa_cli.datasets.dataset import Dataset
from shamisa_cli.encoders.config import ViewingProtocol
from shamisa_cli.encoders.encoder import Encoder
from shamisa_cli.encoders.features import CropBatches, FeatureExtractor
from shamisa_cli.errors import PhotoError, UsageError
from shamisa_cli.evaluation.feature_cache import FeatureCache, features_key, file_digest
from shamisa_cli.imaging.ahead import map_ahead
from shamisa_cli.imaging.decode import decode
from shamisa_cli.progress import progress_bar

T = TypeVar("T")

Skip = Callable[[PhotoError], object]
"""Is called with the error of each photo that is left out; the message names it."""


def stop_at(error: PhotoError) -> None:
    """Leaves none out: of photos that could be read before, one that can be read no more."""
    raise error


@dataclass(frozen=True, eq=False)
class DatasetFeatures:
    """The pictures of a dataset that can be read.

    Attributes
    ----------
    dataset : of these m pictures alone.
    kept : m indices in the whole dataset, rising.
    features : (m, K, F) float32.
    left_out : how many cannot be read.
    """

    dataset: Dataset
    kept: list[int]
    features: Tensor
    left_out: int


class FrozenEncoder:
    """Features of whole datasets from one encoder.

    State: the encoder, and where its features are kept.

    Parameters
    ----------
    name : what tables call the model.
    encoder, protocol : as for :class:`FeatureExtractor`; ``five`` crops take the place of
        ``tiles``, so that every photo gives as many.
    device, precision : likewise.
    cache : folder for features, or None to keep none.
    workers : threads that decode and distort.
    quiet : no progress bar.
    """

    def __init__(
        self,
        name: str,
        encoder: Encoder,
        protocol: ViewingProtocol,
        *,
        device: str = "auto",
        precision: str = "auto",
        cache: Path | None = None,
        workers: int = 2,
        quiet: bool = True,
    ) -> None:
        if protocol.crops == "tiles":
            protocol = dataclasses.replace(protocol, crops="five")
        self.name = name
        self.encoder = encoder
        self.protocol = protocol
        self.workers = workers
        self.quiet = quiet
        self._device = device
        self._precision = precision
        self._cache = cache

    def with_encoder(self, encoder: Encoder, *, keep: bool = False) -> FrozenEncoder:
        """Another encoder that looks at photos in the same way; ``keep`` its features likewise."""
        return FrozenEncoder(
            self.name,
            encoder,
            self.protocol,
            device=self._device,
            precision=self._precision,
            cache=self._cache if keep else None,
            workers=self.workers,
        )

    def dataset(
        self, dataset: Dataset, skip: Skip, full_reference: bool = False
    ) -> DatasetFeatures:
        """Features of a dataset's images; those that cannot be read are left out.

        With ``full_reference``: |h(reference) − h(image)|, crop by crop (docs/method.md §6).
        """
        info = dataset.info
        if full_reference and not dataset.reference_photos:
            raise UsageError(f"{info.name} has no reference photos, which full reference needs")
        kept, features = self.features(dataset.images, skip, info.short_side, info.name)
        if full_reference:
            kept, features = self._compared(dataset, kept, features, skip)
        left_out = len(dataset.images) - len(kept)
        if not kept:
            raise PhotoError(f"{info.name}: none of its images can be read")
        readable = select_images(dataset, kept) if left_out else dataset
        return DatasetFeatures(readable, kept, features, left_out)

    def features(
        self,
        paths: Sequence[Path],
        skip: Skip,
        short_side: int | None = None,
        what: str = "features",
        mean: bool = False,
    ) -> tuple[list[int], Tensor]:
        """:func:`extract_features` of ``paths`` seen at ``short_side`` px at most, with a bar."""
        extractor, cache = self.tools(short_side)
        with progress_bar(len(paths), what, quiet=self.quiet) as bar:
            return extract_features(
                paths, extractor, skip, cache, self.workers, bar.update, mean=mean
            )

    def protocol_for(self, short_side: int | None) -> ViewingProtocol:
        """How photos are viewed that are used at ``short_side`` px at most."""
        limits = [side for side in (self.protocol.short_side, short_side) if side]
        return dataclasses.replace(self.protocol, short_side=min(limits, default=None))

    def tools(self, short_side: int | None = None) -> tuple[FeatureExtractor, FeatureCache | None]:
        """What makes features and what keeps them."""
        protocol = self.protocol_for(short_side)
        extractor = FeatureExtractor(self.encoder, protocol, self._device, self._precision)
        if self._cache is None:
            return extractor, None
        return extractor, FeatureCache(self._cache, features_key(self.encoder, extractor))

    def _compared(
        self, dataset: Dataset, kept: list[int], features: Tensor, skip: Skip
    ) -> tuple[list[int], Tensor]:
        """Distances from the references; images whose reference cannot be read are left out too."""
        photos = sorted(set(dataset.reference_photos))
        info = dataset.info
        found, references = self.features(photos, skip, info.short_side, info.name)
        row = {photos[i]: k for k, i in enumerate(found)}
        both = [k for k, i in enumerate(kept) if dataset.reference_photos[i] in row]
        for at, k in enumerate(both):
            reference = references[row[dataset.reference_photos[kept[k]]]]
            features[at] = (reference - features[k]).abs()
        return [kept[k] for k in both], features[: len(both)]


def select_images(dataset: Dataset, kept: Sequence[int]) -> Dataset:
    """The images ``kept`` of a dataset, in this order."""

    def chosen(values: tuple[T, ...]) -> tuple[T, ...]:
        return tuple(values[i] for i in kept) if values else ()

    return dataclasses.replace(
        dataset,
        images=chosen(dataset.images),
        scores=dataset.scores[list(kept)],
        references=chosen(dataset.references),
        reference_photos=chosen(dataset.reference_photos),
        parts=chosen(dataset.parts),
        distortions=chosen(dataset.distortions),
        severities=chosen(dataset.severities),
    )


def extract_features(
    paths: Sequence[Path],
    extractor: FeatureExtractor,
    skip: Skip,
    cache: FeatureCache | None = None,
    workers: int = 2,
    progress: Callable[[int], object] = lambda done: None,
    *,
    mean: bool = False,
) -> tuple[list[int], Tensor]:
    """Which m of the photos can be read, and (m, K, F) float32: K crops of each, in order.

    Parameters
    ----------
    paths : n photos.
    extractor : encoder and protocol; every photo must give the same number of crops.
    skip : called with the error of each photo that cannot be read.
    cache : where finished ones are kept; an interrupted run goes on from there.
    workers : threads that decode.
    progress : called with 1 after each photo.
    mean : (m, F), the mean over the crops; photos may then give different numbers of crops.
    """
    result = torch.empty(0, extractor.size)
    kept: list[int] = []
    for i, features in _each(paths, extractor, cache, workers):
        if isinstance(features, PhotoError):
            skip(features)
        else:
            values = features.mean(0) if mean else features
            if not kept:
                result = torch.empty(len(paths), *values.shape)
            result[i] = values
            kept.append(i)
        progress(1)
    kept.sort()
    for at, i in enumerate(kept):
        result[at] = result[i]  # in place: a copy would take the memory twice
    return kept, result[: len(kept)]


def _each(
    paths: Sequence[Path], extractor: FeatureExtractor, cache: FeatureCache | None, workers: int
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
