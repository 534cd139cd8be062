"""Images that a model was fine-tuned on, known by digests: figures on these flatter it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path

from shamisa_cli.datasets.dataset import Dataset
from shamisa_cli.errors import PhotoError
from shamisa_cli.evaluation.feature_cache import file_digest
from shamisa_cli.models.config import SEEN_DIGITS, ModelConfig


def seen_digest(path: Path) -> str:
    """By which a model's config knows the image; a PhotoError if it cannot be read."""
    return file_digest(path)[:SEEN_DIGITS]


def is_one_of(seen: Collection[str], path: Path) -> bool:
    """Whether the image is known by a digest of ``seen``; one that cannot be read is not."""
    try:
        return bool(seen) and seen_digest(path) in seen
    except PhotoError:
        return False


def seen_among(datasets: Iterable[Dataset], seen: Iterable[str]) -> Callable[[Path], bool]:
    """Whether a photo is one of ``datasets``, or known by a digest of ``seen``.

    The datasets are read when it is first asked.
    """

    @cache
    def known() -> frozenset[str]:
        found = set(seen)
        for image in (image for dataset in datasets for image in dataset.images):
            with suppress(PhotoError):  # of one that cannot be read nothing is known
                found.add(seen_digest(image))
        return frozenset(found)

    return lambda path: is_one_of(known(), path)


def count_seen(config: ModelConfig, dataset: Dataset) -> int:
    """How many of a dataset's images the model was trained on, by the digests that it keeps."""
    seen = set(config.seen)
    if not seen:
        return 0
    return sum(seen_digest(path) in seen for path in dataset.images)
