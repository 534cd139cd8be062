"""What ladders and edited photos teach a head, as the terms of a fit (``fit.py``).

Ladders say that more damage is worse. MDSI, which sees the photo as it is beside the damaged one,
says how much, so that kinds of damage and photos can be compared: a proxy for people's scores,
which we do not have of these pictures. Edited photos say what should cost little.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from shamisa_cli.ladders.edits import AS_IT_IS, HARMLESS, ORDERS, EditedPhotos
from shamisa_cli.ladders.fit import Lessons, Term, join_terms, no_term
from shamisa_cli.ladders.labels import damaged_less
from shamisa_cli.ladders.ladder import Ladders

BEST, WORST = 72.0, 20.0
"""Proxy scores in percent of the score range: of photos as they are, and of the most damaged."""

AS_THEY_ARE = 0.8
"""Share of all proxies that photos as they are count together."""

SEEN = 0.05
"""MDSI above which anyone sees the damage."""

EACH_ORDER = 0.25
"""What each of :data:`~shamisa_cli.ladders.edits.ORDERS` counts, where all steps count 1."""

ALLOWED = {"white_noise": 14.0, "white_noise_cc": 14.0, "multiplicative_noise": 14.0}
"""Points that a distortion may cost at λ = ¼: people mind faint noise less than MDSI does."""

EACH_ALLOWANCE = 24.0
"""What each difference under :data:`ALLOWED` counts, where each step of a ladder counts 1."""

HARDER = {
    "darken": 4.0,
    "non_eccentricity_patch": 6.0,
    "color_shift": 3.0,
    "color_saturation_1": 2.0,
}
"""What each step of these ladders counts, where others count 1: their levels are the hardest to
tell apart (docs/experiments/imagenet.md)."""


@dataclass(frozen=True)
class LessonOptions:
    """How much ladders and edits count beside human scores, which count 1 together.

    Attributes
    ----------
    weight : of all pairs in order: ladders, and edits against the photo.
    gap : by which the score should fall from a level to the next, in percent of the score range.
    drop : by which it should fall from the mildest to the strongest; 0 asks for nothing more.
    proxy_weight : of scores by MDSI.
    edit_weight : of harmless edits that should change nothing.
    """

    weight: float = 20.0
    gap: float = 5.0
    drop: float = 0.0
    proxy_weight: float = 1.0
    edit_weight: float = 2.0


Part = tuple[Tensor, Tensor, Tensor]
"""Rows (m, F), what is wanted of each (m,), and their shares (m,)."""


def make_lessons(
    ladders: Ladders,
    edits: EditedPhotos | None,
    options: LessonOptions,
    score_range: tuple[float, float],
) -> Lessons:
    """The terms of a fit to scores in ``score_range``; without ``edits``, of ladders alone."""
    unit = (score_range[1] - score_range[0]) / 100
    pairs = ladder_pairs(ladders, options.gap * unit, options.drop * unit)
    none = no_term(ladders.features.shape[-1])
    if edits is None:
        return Lessons(join_terms(pairs, options.weight), none, none)
    steps = float(sum(shares.sum() for _, _, shares in pairs))
    pairs += photo_pairs(ladders, edits, options.gap * unit)
    pairs += allowances(ladders, edits, unit)
    pairs += edit_pairs(edits, unit, EACH_ORDER * steps)
    proxies = proxy_scores(ladders, edits, (score_range[0], unit))
    changes = harmless_changes(edits)
    return Lessons(
        join_terms(pairs, options.weight),
        Term(*proxies, options.proxy_weight),
        Term(*changes, options.edit_weight),
    )


def ladder_pairs(ladders: Ladders, gap: float, drop: float) -> list[Part]:
    """Adjacent levels; with a ``drop``, also the mildest and the strongest."""
    levels = ladders.features.double()
    rows, wanted, _ = _part((levels[:, :-1] - levels[:, 1:]).flatten(0, 1), gap)
    harder = [HARDER.get(name, 1.0) for name in ladders.distortions]
    shares = torch.tensor(harder, dtype=torch.float64).repeat_interleave(levels.shape[1] - 1)
    parts = [(rows, wanted, shares)]
    return [*parts, _part(levels[:, 0] - levels[:, -1], drop)] if drop else parts


def photo_pairs(ladders: Ladders, edits: EditedPhotos, gap: float) -> list[Part]:
    """Photos as they are against the second level, where its damage is seen."""
    seen = ladders.damage[:, 1] > SEEN
    return [_part((_photos(ladders, edits) - ladders.features[:, 1].double())[seen], gap)]


def allowances(ladders: Ladders, edits: EditedPhotos, unit: float) -> list[Part]:
    """The same where the difference should not exceed :data:`ALLOWED`, as differences the other
    way round with a negative gap."""
    lost = ladders.features[:, 1].double() - _photos(ladders, edits)
    parts = []
    for name, points in ALLOWED.items():
        at = [i for i, each in enumerate(ladders.distortions) if each == name]
        parts.append(_part(lost[at], -points * unit, EACH_ALLOWANCE))
    return parts


def edit_pairs(edits: EditedPhotos, unit: float, share: float) -> list[Part]:
    """:data:`ORDERS`; each counts ``share`` in all."""
    found = edits.features
    parts = []
    for order in ORDERS:
        rows = found[order.better].double() - found[order.worse].double()
        parts.append(_part(rows, order.gap * unit, share / max(1, len(rows))))
    return parts


def proxy_scores(ladders: Ladders, edits: EditedPhotos, scale: tuple[float, float]) -> Part:
    """Every level, and photos as they are; ``scale`` is the worst score and 1 % of the range.

    A level's score falls with the share of all levels that are damaged less, by MDSI.
    """
    lowest, unit = scale
    damage = ladders.damage[:, 1:].flatten().double()
    wanted = BEST - (BEST - WORST) * torch.where(damage > 0, damaged_less(damage), 0.0)
    photos = edits.as_they_are.double()
    each = AS_THEY_ARE / (1 - AS_THEY_ARE) * len(damage) / max(1, len(photos))
    rows = torch.cat([ladders.features[:, 1:].flatten(0, 1).double(), photos])
    scores = torch.cat([wanted, torch.full((len(photos),), BEST, dtype=torch.float64)])
    shares = torch.cat([torch.ones_like(damage), torch.full_like(scores[len(damage) :], each)])
    return rows, lowest + unit * scores, shares


def harmless_changes(edits: EditedPhotos) -> Part:
    """What harmless edits change, each counted as :data:`HARMLESS` says."""
    found = edits.features
    parts = [
        _part(found[name].double() - found[AS_IT_IS].double(), 0.0, share)
        for name, share in HARMLESS.items()
    ]
    rows, wanted, shares = (torch.cat(each) for each in zip(*parts, strict=True))
    return rows, wanted, shares


def _photos(ladders: Ladders, edits: EditedPhotos) -> Tensor:
    """(n, F) float64, the photo of each ladder as it is."""
    place: dict[Path, int] = {path: i for i, path in enumerate(edits.photos)}
    return edits.features[AS_IT_IS][[place[path] for path in ladders.photos]].double()


def _part(rows: Tensor, wanted: float, share: float = 1.0) -> Part:
    ones = torch.ones(len(rows), dtype=torch.float64)
    return rows, wanted * ones, share * ones
