"""Features of ladders and of edited photos, made at the size at which the encoder views them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
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
from shamisa_cli.evaluation.frozen_encoder import FrozenEncoder, Skip, named_error, stop_at
from shamisa_cli.evaluation.mdsi import mdsi
from shamisa_cli.evaluation.ridge import image_features
from shamisa_cli.imaging.ahead import map_ahead
from shamisa_cli.imaging.arrays import to_tensor
from shamisa_cli.imaging.decode import decode
from shamisa_cli.imaging.resample import resize
from shamisa_cli.ladders.edits import AS_IT_IS, EDITS, EditedPhotos
from shamisa_cli.ladders.ladder import Ladders
from shamisa_cli.progress import progress_bar

MDSI_SIDE = 256
"""px; a picture is shrunk by a whole number before MDSI until its short side is about this."""

Make = Callable[[Image.Image, str, int], tuple[list[Image.Image], Tensor]]
"""A photo, a name and a seed to p pictures, and (p, n) numbers to keep beside their features."""


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
            made = _rows(path, dealt, _ladder, extractor, seed, cache, frozen.workers)
            try:
                for k, rows in enumerate(made):
                    features[at + k], damage[at + k] = rows[:, :-1], rows[:, -1]
            except PhotoError as error:
                skip(named_error(path, error))
            else:
                distortions += dealt
                owners += [path] * count
            bar.update()
    n = len(owners)
    return Ladders(features[:n], damage[:n], tuple(distortions), tuple(owners))


def extract_edits(
    frozen: FrozenEncoder,
    photos: Sequence[Path],
    seed: int = 0,
    others: Sequence[Path] = (),
    skip: Skip = stop_at,
) -> EditedPhotos:
    """Photos that can be read, as they are and under every edit; and ``others``, as they are.

    ``skip`` is called with the error of each of the others that cannot be read.
    """
    names = (AS_IT_IS, *EDITS)
    extractor, cache = frozen.tools()
    rows = torch.empty(len(photos), len(names), extractor.size)
    with progress_bar(len(photos), "edits", quiet=frozen.quiet) as bar:
        for i, path in enumerate(photos):
            made = _rows(path, names, _edited, extractor, seed, cache, frozen.workers)
            for k, found in enumerate(made):
                rows[i, k] = found[0]
            bar.update()
    edited = EditedPhotos({name: rows[:, k] for k, name in enumerate(names)}, tuple(photos))
    if not others:
        return edited
    good = image_features(frozen.features(others, skip, what="good photos")[1])
    return replace(edited, others=good)


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


def _ladder(photo: Image.Image, name: str, seed: int) -> tuple[list[Image.Image], Tensor]:
    rungs = ladder_images(photo, name, seed)
    return rungs, damage_of(photo, rungs)[:, None]


def _edited(photo: Image.Image, name: str, seed: int) -> tuple[list[Image.Image], Tensor]:
    return [photo if name == AS_IT_IS else EDITS[name](photo, seed)], torch.empty(1, 0)


def _rows(
    path: Path,
    names: Sequence[str],
    make: Make,
    extractor: FeatureExtractor,
    seed: int,
    cache: FeatureCache | None,
    workers: int,
) -> Iterator[Tensor]:
    """(p, F + n) for each of ``names``: features, then the numbers of ``make``.

    Those that are not in the cache are made ahead, at the size at which the photo is viewed.
    """
    content = file_digest(path)
    digests = [hashlib.sha256(f"{content} {name} {seed}".encode()).hexdigest() for name in names]
    known = [cache.get(digest) if cache else None for digest in digests]
    missing = [i for i, rows in enumerate(known) if rows is None]
    if missing:
        photo = decode(path)
        photo = resize(photo, extractor.viewing_size(photo.size))

    def pictures(i: int) -> tuple[list[Image.Image], Tensor]:
        return make(photo, names[i], int(digests[i][:12], 16))

    made = map_ahead(pictures, missing, workers, ahead=workers)
    for digest, rows in zip(digests, known, strict=True):
        if rows is None:
            _, found = next(made)
            if isinstance(found, Exception):
                raise found
            images, numbers = found
            features = [each.mean(0) for each in extractor.features_many(images)]
            rows = torch.cat([torch.stack(features), numbers], dim=1)
            if cache:
                cache.put(digest, rows)
        yield rows
