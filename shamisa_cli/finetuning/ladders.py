"""Severity ladders beside human scores: to learn from, and to judge by on photos held out.

Human scores alone can cost the order of damage: few of the scored photos show more than one kind of
it. So of some photos a part takes part in training, by a loss that asks each step of a ladder to
lower the score (:func:`order_loss`), and the others show what came of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset

from shamisa_cli.distortions.pictures import ladder_images
from shamisa_cli.distortions.registry import DISTORTIONS
from shamisa_cli.encoders.config import ViewingProtocol
from shamisa_cli.errors import PhotoError
from shamisa_cli.evaluation.feature_cache import file_digest
from shamisa_cli.evaluation.frozen_encoder import FrozenEncoder, Skip, stop_at
from shamisa_cli.finetuning.config import FinetuneConfig
from shamisa_cli.finetuning.views import crops_of, stacked, training_plan
from shamisa_cli.imaging.decode import decode
from shamisa_cli.imaging.resample import resize, viewing_size
from shamisa_cli.ladders.extract import extract_ladders
from shamisa_cli.ladders.ladder import Ladders, check_photos, score_ladders
from shamisa_cli.seeds import derived_seed, generator
from shamisa_cli.training.feed import shuffled_order

HELD_OUT = 0.1
"""Share of the photos whose ladders are not learnt from; half of them choose, half measure."""

ORDER, KINDS, PLACES, DAMAGE, HELD = range(10, 15)
"""Names of random streams."""


@dataclass(frozen=True, eq=False)
class LadderPart:
    """Photos whose ladders take part.

    Attributes
    ----------
    train : photos to learn from.
    choose : ladders of others, by the encoder that training starts from; they help to choose the
        state that is kept.
    held : likewise, of yet others, which measure.
    seed : of the damage in both.
    """

    train: tuple[Path, ...]
    choose: Ladders
    held: Ladders
    seed: int

    @cached_property
    def digests(self) -> list[str]:
        """SHA-256 of the photos to learn from."""
        return [file_digest(path) for path in self.train]

    @cached_property
    def choose_digests(self) -> list[str]:
        """SHA-256 of the photos that help to choose."""
        return [file_digest(path) for path in self.choose_photos]

    @property
    def choose_photos(self) -> list[Path]:
        """The photos that help to choose."""
        return list(dict.fromkeys(self.choose.photos))

    @property
    def held_photos(self) -> list[Path]:
        """The photos that measure."""
        return list(dict.fromkeys(self.held.photos))

    def in_order(self, tuned: FrozenEncoder | None, w: Tensor) -> float:
        """Share of adjacent levels in order by ``w`` (F,), on the ladders that choose.

        Their features are of ``tuned``, or of the encoder that training starts from.
        """
        ladders = self.choose
        if tuned:
            ladders = extract_ladders(tuned, self.choose_photos, stop_at, seed=self.seed)
        return score_ladders(ladders, w)["all"].in_order


def divide_photos(photos: Sequence[Path], seed: int) -> tuple[list[Path], list[Path], list[Path]]:
    """Photos to learn from, and a tenth, at least two, half of them to choose, half to measure."""
    order = torch.randperm(len(photos), generator=generator(seed, HELD)).tolist()
    count = max(2, round(HELD_OUT * len(photos)))
    shuffled = [photos[i] for i in order]
    return shuffled[count:], shuffled[: count // 2], shuffled[count // 2 : count]


def make_ladder_part(
    frozen: FrozenEncoder, folder: Path, photos: Sequence[Path], seed: int, skip: Skip
) -> LadderPart:
    """Divide the photos of ``folder``, and make the ladders that judge.

    ``skip`` hears of unreadable photos. Where too few can be read, it is a UsageError.
    """
    readable = _readable(photos, skip)
    check_photos(folder, len(readable))
    train, choose, held = divide_photos(readable, seed)
    to_choose, to_measure = (
        extract_ladders(frozen, some, skip, seed=seed) for some in (choose, held)
    )
    return LadderPart(tuple(train), to_choose, to_measure, seed)


def _readable(photos: Sequence[Path], skip: Skip) -> list[Path]:
    found = []
    for path in photos:
        try:
            decode(path)
        except PhotoError as error:
            skip(error)
        else:
            found.append(path)
    return found


@dataclass(frozen=True, eq=False)
class Rungs:
    """A ladder as it is looked at.

    ``pixels`` are for each scale (5, 3, h, w) uint8: the levels, damage rising, at one place.
    """

    pixels: tuple[Tensor, ...]


class LadderViews(Dataset[list[Rungs]]):
    """Map from the number of a mini-batch to its ladders: a pure function of (seed, number).

    Every photo and every distortion comes equally often. Photos are damaged at the size at which
    the model looks at them.

    Parameters
    ----------
    photos : to make ladders of; no other file is opened.
    protocol : how the model looks at photos.
    config : of the run.
    """

    def __init__(
        self, photos: Sequence[Path], protocol: ViewingProtocol, config: FinetuneConfig
    ) -> None:
        self.photos = photos
        self.protocol = protocol
        self.config = config
        self.plan = training_plan(protocol, config.crop)

    def __getitem__(self, number: int) -> list[Rungs]:
        count, seed = self.config.ladders, self.config.seed
        start = number * count
        photos = shuffled_order(len(self.photos), start, count, seed, ORDER)
        kinds = shuffled_order(len(DISTORTIONS), start, count, seed, KINDS)
        draws = torch.rand((count, 3), generator=generator(seed, PLACES, number)).tolist()
        names = list(DISTORTIONS)
        made = []
        for k, (photo, kind, (x, y, mirror)) in enumerate(zip(photos, kinds, draws, strict=True)):
            image = decode(self.photos[photo])
            size = viewing_size(image.size, self.protocol.short_side, self.protocol.max_side)
            damage = derived_seed(seed, DAMAGE, start + k)
            levels = ladder_images(resize(image, size), names[kind], damage)
            crops = [crops_of(each, (x, y), self.plan, mirrored=mirror < 0.5) for each in levels]
            made.append(Rungs(stacked(crops)))
        return made


def order_loss(scores: Tensor, gap: float) -> Tensor:
    """Mean over adjacent levels of by how much the fall of ``scores`` (n, 5) is short of ``gap``.

    The hinge loss of ranking. A fall that exceeds the gap costs nothing.
    """
    return F.relu(gap - (scores[:, :-1] - scores[:, 1:])).mean()
