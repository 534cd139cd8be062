"""Features and cells of damaged photos, with what was done to them: what readings are fitted to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from shamisa_cli.digests import file_digest
from shamisa_cli.encoders.cells import window_means
from shamisa_cli.encoders.features import FeatureExtractor
from shamisa_cli.errors import PhotoError
from shamisa_cli.explaining.kinds import heard
from shamisa_cli.explaining.lessons import Lesson, make_lessons
from shamisa_cli.explaining.reading import Readable
from shamisa_cli.imaging.ahead import map_ahead
from shamisa_cli.imaging.arrays import to_tensor
from shamisa_cli.imaging.decode import decode
from shamisa_cli.imaging.resample import resize
from shamisa_cli.models.head import Head

CELLS, PART_CELLS = 4, 24
"""Drawn from each picture, and from one of which a part is damaged."""


@dataclass(frozen=True, eq=False)
class Examples:
    """n pictures of photos, and m cells of these.

    Attributes
    ----------
    what : n names, see :class:`~shamisa_cli.explaining.lessons.Lesson`.
    photo : (n,) int64, which photo each picture shows.
    severities : (n, k) float32, or ABSENT.
    scores : (n,) float32, points by the head.
    features : (n, F) float16, what :func:`~shamisa_cli.explaining.kinds.heard` makes of each.
    context : (n, C) float16, the mean of all cells of each picture.
    cells : (m, C) float16.
    picture : (m,) int64, which picture each cell is of, rising.
    cover : (m,) float32, share of the cell's window that is damaged, 0-1.
    """

    what: tuple[str, ...]
    photo: Tensor
    severities: Tensor
    scores: Tensor
    features: Tensor
    context: Tensor
    cells: Tensor
    picture: Tensor
    cover: Tensor

    def shows(self, *what: str) -> Tensor:
        """(n,) bool: which pictures are one of ``what``."""
        return torch.tensor([each in what for each in self.what])

    def drops(self) -> Tensor:
        """(m,) points by which damage of the cell's kind lowers the score of its whole photo,
        times ``cover``; at most 0 for a head that sees the damage."""
        as_it_is = {
            int(photo): float(score)
            for what, photo, score in zip(self.what, self.photo, self.scores, strict=True)
            if what == "as it is"
        }
        whole = torch.tensor(
            [
                float(self.scores[n - 1] if what == "part" else self.scores[n])
                - as_it_is[int(self.photo[n])]
                for n, what in enumerate(self.what)
            ]
        )
        return whole[self.picture] * self.cover


def extract_examples(
    extractor: FeatureExtractor,
    head: Head,
    photos: Sequence[Path],
    readable: Readable,
    *,
    seed: int,
    workers: int,
    all_cells: bool = False,
    skip: Callable[[PhotoError], object],
    progress: Callable[[], object] = lambda: None,
) -> Examples:
    """The lessons of each photo, seen by the encoder at its own viewing size.

    Parameters
    ----------
    readable : what the readings read of features and cells.
    seed : with the content of a photo it decides what is done to that, with its number which
        cells are drawn.
    workers : threads that damage photos ahead of the encoder.
    all_cells : every cell of pictures that are damaged in part; for measuring.
    skip : called with the error of each photo that cannot be read.
    progress : called after each photo.
    """
    made = _Collected()

    def lessons_of(path: Path) -> list[Lesson]:
        draws = torch.Generator().manual_seed(int(file_digest(path)[:12], 16) ^ seed)
        photo = decode(path)
        return list(make_lessons(resize(photo, extractor.viewing_size(photo.size)), draws))

    for number, (_, lessons) in enumerate(map_ahead(lessons_of, photos, workers, workers)):
        if isinstance(lessons, PhotoError):
            skip(lessons)
        elif isinstance(lessons, Exception):
            raise lessons
        else:
            draws = torch.Generator().manual_seed(number ^ seed)
            for lesson in lessons:
                features, cells = extractor.features_and_cells(extractor.cut(lesson.picture))
                score = head.score(features).score
                features, cells = readable.of(features, cells)
                inputs = heard(features, to_tensor(lesson.picture))
                made.add(lesson, number, score, inputs, cells.mean((1, 2)))
                of_part = None if all_cells else PART_CELLS
                made.add_cells(cells, lesson, of_part if lesson.what == "part" else CELLS, draws)
        progress()
    return made.examples()


class _Collected:
    """Grows by a picture at a time. State: lists of what :class:`Examples` holds."""

    def __init__(self) -> None:
        self.what: list[str] = []
        names = [field.name for field in fields(Examples)]
        self.rows: dict[str, list[Tensor]] = {name: [] for name in names[1:]}

    def add(
        self, lesson: Lesson, photo: int, score: float, features: Tensor, context: Tensor
    ) -> None:
        """A picture."""
        self.what.append(lesson.what)
        values = {
            "photo": torch.tensor(photo),
            "severities": lesson.severities,
            "scores": torch.tensor(score),
            "features": features.half(),
            "context": context.half(),
        }
        for name, value in values.items():
            self.rows[name].append(value[None])

    def add_cells(
        self, cells: Tensor, lesson: Lesson, count: int | None, draws: torch.Generator
    ) -> None:
        """So many cells (C, rows, columns) of the picture that was added last; None for all."""
        rows, columns = cells.shape[1:]
        drawn = torch.randperm(rows * columns, generator=draws)[:count]
        cover = window_cover(lesson.mask, rows, columns).flatten()[drawn]
        self.rows["cells"].append(cells.flatten(1).T[drawn].half())
        self.rows["picture"].append(torch.full((len(drawn),), len(self.what) - 1))
        self.rows["cover"].append(cover)

    def examples(self) -> Examples:
        if not self.what:
            raise PhotoError("none of the photos can be read")
        return Examples(tuple(self.what), **{k: torch.cat(v) for k, v in self.rows.items()})


def window_cover(mask: Tensor, rows: int, columns: int) -> Tensor:
    """(rows, columns) float32: share of ``mask`` (H, W) in the window around each cell, 0-1."""
    cells = F.adaptive_avg_pool2d(mask.float()[None, None], (rows, columns))
    return window_means(cells)[0, 0]
