"""Features of ladders and of edited photos, made at the size at which the encoder views them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from shamisa_cli.distortions.pictures import LEVELS, ladder_images
from shamisa_cli.distortions.registry import DISTORTIONS
from shamisa_cli.encoders.features import FeatureExtractor
from shamisa_cli.errors import PhotoError
from shamisa_cli.evaluation.feature_cache import FeatureCache, file_digest
from shamisa_cli.evaluation.frozen_encoder import FrozenEncoder, Skip, named_error
from shamisa_cli.evaluation.mdsi import mdsi
from shamisa_cli.imaging.ahead import map_ahead
from shamisa_cli.imaging.arrays import to_tensor
from shamisa_cli.imaging.decode import decode
from shamisa_cli.imaging.resample import resize
from shamisa_cli.ladders.edits import AS_IT_IS, EDITS, EditedPhotos
from shamisa_cli.ladders.ladder import Ladders
from shamisa_cli.progress import progress_bar

MDSI_SIDE = 256
"""px; a picture is shrunk by a whole number before MDSI until its short side is about this."""

Make = Callable[[Image.Image, str, int], list[Image.Image]]
"""A photo, a name and a seed to pictures of the photo's size, or smaller."""


def extract_ladders(
    frozen: FrozenEncoder,
    photos: Sequence[Path],
    skip: Skip,
    per_photo: int | None = None,
    seed: int = 0,
) -> Ladders:
    """Ladders of photos.

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
    damage = torch.empty(len(photos) * count, len(LEVELS))
    distortions: list[str] = []
    owners: list[Path] = []
    with progress_bar(len(photos), "ladders", quiet=frozen.quiet) as bar:
        for path in photos:
            at = len(owners)
            dealt = [names[(at + k) % len(names)] for k in range(count)]
            maker = _Maker(path, ladder_images, seed, extractor, cache, frozen.workers)
            try:
                for k, (found, moved) in enumerate(maker.features(dealt)):
                    features[at + k], damage[at + k] = found, moved
            except PhotoError as error:
                skip(named_error(path, error))
            else:
                distortions += dealt
                owners += [path] * count
            bar.update()
    n = len(owners)
    return Ladders(features[:n], damage[:n], tuple(distortions), tuple(owners))


def extract_edits(frozen: FrozenEncoder, photos: Sequence[Path], seed: int = 0) -> EditedPhotos:
    """Photos that can be read, as they are and under every edit."""
    names = (AS_IT_IS, *EDITS)
    extractor, cache = frozen.tools()
    rows = torch.empty(len(photos), len(names), extractor.size)
    with progress_bar(len(photos), "edits", quiet=frozen.quiet) as bar:
        for i, path in enumerate(photos):
            maker = _Maker(path, _edited, seed, extractor, cache, frozen.workers)
            for k, (found, _) in enumerate(maker.features(names)):
                rows[i, k] = found[0]
            bar.update()
    return EditedPhotos({name: rows[:, k] for k, name in enumerate(names)}, tuple(photos))


def damage_of(photo: Image.Image, pictures: Sequence[Image.Image]) -> Tensor:
    """(n,) MDSI of ``pictures`` from ``photo``; NaN for those of another size.

    Both are averaged over squares of whole pixels first, as in the paper.
    """
    step = max(1, round(min(photo.size) / MDSI_SIDE))

    def shrunk(image: Image.Image) -> Tensor:
        return F.avg_pool2d(to_tensor(image)[None], step)

    reference = shrunk(photo)
    return torch.cat(
        [
            mdsi(reference, shrunk(each)) if each.size == photo.size else torch.tensor([torch.nan])
            for each in pictures
        ]
    )


def _edited(photo: Image.Image, name: str, seed: int) -> list[Image.Image]:
    return [photo if name == AS_IT_IS else EDITS[name](photo, seed)]


class _Maker:
    """Pictures made of one photo, and their features and damage; what is kept is not made again."""

    def __init__(
        self,
        path: Path,
        make: Make,
        seed: int,
        extractor: FeatureExtractor,
        cache: FeatureCache | None,
        workers: int,
    ) -> None:
        self._path, self._make, self._seed = path, make, seed
        self._extractor, self._cache, self._workers = extractor, cache, workers

    def features(self, names: Sequence[str]) -> Iterator[tuple[Tensor, Tensor]]:
        """For each of ``names`` (p, F) and (p,); those that are missing are made ahead."""
        content = file_digest(self._path)
        facts = [f"{content} {name} {self._seed}" for name in names]
        digests = [hashlib.sha256(each.encode()).hexdigest() for each in facts]
        known = [self._cache.get(digest) if self._cache else None for digest in digests]
        missing = [i for i, rows in enumerate(known) if rows is None]
        made = self._made([(names[i], int(digests[i][:12], 16)) for i in missing])
        for digest, rows in zip(digests, known, strict=True):
            if rows is None:
                rows = next(made)
                if self._cache:
                    self._cache.put(digest, rows)
            yield rows[:, :-1], rows[:, -1]

    def _made(self, wanted: Sequence[tuple[str, int]]) -> Iterator[Tensor]:
        """(p, F + 1) of each (name, seed): features, then damage."""
        if not wanted:
            return
        photo = decode(self._path)
        photo = resize(photo, self._extractor.viewing_size(photo.size))

        def pictures(of: tuple[str, int]) -> tuple[list[Image.Image], Tensor]:
            made = self._make(photo, *of)
            return made, damage_of(photo, made)

        for _, found in map_ahead(pictures, wanted, self._workers, ahead=self._workers):
            if isinstance(found, Exception):
                raise found
            images, damage = found
            features = [each.mean(0) for each in self._extractor.features_many(images)]
            yield torch.cat([torch.stack(features), damage[:, None]], dim=1)
