"""One frozen encoder as a source of features for datasets and ladders."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol as Interface

from torch import Tensor

from shamisa_cli.datasets.dataset import Dataset
from shamisa_cli.encoders.config import ViewingProtocol
from shamisa_cli.encoders.encoder import Encoder
from shamisa_cli.encoders.features import FeatureExtractor
from shamisa_cli.errors import PhotoError, UsageError
from shamisa_cli.evaluation.feature_cache import FeatureCache, features_key
from shamisa_cli.evaluation.features import extract_features, extract_means
from shamisa_cli.ladders.ladder import Ladders, extract_ladders
from shamisa_cli.progress import Progress, progress_bar


class SourceOptions(Interface):
    """The options of a command that say how features are made, by their names there."""

    @property
    def device(self) -> str: ...
    @property
    def precision(self) -> str: ...
    @property
    def features_cache(self) -> Path | None: ...
    @property
    def workers(self) -> int: ...
    @property
    def quiet(self) -> bool: ...


class FeatureSource:
    """Features of whole datasets from one encoder.

    State: the encoder, and where its features are kept.

    Parameters
    ----------
    name : what tables call the model.
    encoder, protocol : as for :class:`FeatureExtractor`.
    device, precision : likewise.
    cache : folder for features, or None to keep none.
    workers : threads that decode and distort.
    progress : shows how far extraction is.
    """

    def __init__(
        self,
        name: str,
        encoder: Encoder,
        protocol: ViewingProtocol,
        progress: Progress,
        *,
        device: str = "auto",
        precision: str = "auto",
        cache: Path | None = None,
        workers: int = 2,
    ) -> None:
        if protocol.crops == "tiles":
            protocol = dataclasses.replace(protocol, crops="five")
        self.name = name
        self.encoder = encoder
        self.protocol = protocol
        self._progress = progress
        self._device = device
        self._precision = precision
        self._cache = cache
        self._workers = workers

    def dataset(self, dataset: Dataset, full_reference: bool = False) -> Tensor:
        """(n, K, F) float32 features of a dataset's images.

        With ``full_reference``: |h(reference) − h(image)|, crop by crop (method.md §6).

        Raises
        ------
        UsageError
            if references are asked for, and the dataset has none.
        """
        if full_reference and not dataset.reference_photos:
            raise UsageError(f"{dataset.info.name} has no reference photos, which --fr needs")
        features = self._extracted(dataset.images, dataset)
        if not full_reference:
            return features
        distinct = sorted(set(dataset.reference_photos))
        references = self._extracted(distinct, dataset)
        at = {path: i for i, path in enumerate(distinct)}
        for i, path in enumerate(dataset.reference_photos):
            features[i] = (references[at[path]] - features[i]).abs()
        return features

    def means(
        self,
        paths: Sequence[Path],
        unreadable: Callable[[PhotoError], object],
        short_side: int | None = None,
    ) -> tuple[list[int], Tensor]:
        """Which of ``paths`` can be read, and their mean features; see :func:`extract_means`."""
        extractor, cache = self._tools(short_side)
        with self._progress(len(paths), "features") as advance:
            return extract_means(
                paths,
                extractor,
                cache=cache,
                workers=self._workers,
                progress=advance,
                unreadable=unreadable,
            )

    def ladders(
        self,
        photos: Sequence[Path],
        per_photo: int | None,
        seed: int,
        unreadable: Callable[[PhotoError], object],
    ) -> Ladders:
        """Severity ladders of ``photos``; see :func:`extract_ladders`."""
        extractor, cache = self._tools()
        with self._progress(len(photos), "ladders") as advance:
            return extract_ladders(
                photos,
                extractor,
                per_photo=per_photo,
                seed=seed,
                cache=cache,
                workers=self._workers,
                progress=advance,
                unreadable=unreadable,
            )

    def protocol_for(self, short_side: int | None) -> ViewingProtocol:
        """How photos are looked at that are used at ``short_side`` px at most."""
        limits = [side for side in (self.protocol.short_side, short_side) if side]
        return dataclasses.replace(self.protocol, short_side=min(limits, default=None))

    def _extracted(self, paths: Sequence[Path], dataset: Dataset) -> Tensor:
        extractor, cache = self._tools(dataset.info.short_side)
        with self._progress(len(paths), dataset.info.name) as advance:
            return extract_features(
                paths, extractor, cache=cache, workers=self._workers, progress=advance
            )

    def _tools(self, short_side: int | None = None) -> tuple[FeatureExtractor, FeatureCache | None]:
        protocol = self.protocol_for(short_side)
        extractor = FeatureExtractor(self.encoder, protocol, self._device, self._precision)
        if self._cache is None:
            return extractor, None
        return extractor, FeatureCache(self._cache, features_key(self.encoder, extractor))


def make_source(
    name: str, encoder: Encoder, protocol: ViewingProtocol, asked: SourceOptions
) -> FeatureSource:
    """What the options of a command ask for, with a progress bar."""
    return FeatureSource(
        name,
        encoder,
        protocol,
        progress_bar(asked.quiet),
        device=asked.device,
        precision=asked.precision,
        cache=asked.features_cache,
        workers=asked.workers,
    )
