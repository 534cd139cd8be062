"""The head: features of one image to one number, and that number to 0-100 (docs/method.md §6)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from shamisa_cli.models.everyday import Everyday


@dataclass(frozen=True)
class HeadInfo:
    """What a head was fitted on, and how its raw predictions become scores.

    Attributes
    ----------
    name : what commands call it.
    dataset : the data it was fitted on.
    score_range : (lo, hi), the range of the dataset's own scores; raw predictions are in its units.
    higher_is_better : direction of the dataset's own scores (MOS: True, DMOS: False).
    n_images : images it was fitted on.
    features : F, the length of the feature vector it takes.
    strength : of the ridge regression.
    metrics : measured figures, such as ``srcc`` (median over test splits).
    calibration : knots (raw, score) of a monotone piecewise-linear map from raw predictions to
        0-100; empty means the straight line that takes ``score_range`` to 0-100.
    note : anything a person should know, such as added synthetic data.
    encoder : digest of the encoder whose features it was fitted on; empty if that is not known.
    uncertainty : floor, in the dataset's units, and factor, both ≥ 0: a raw prediction is off by
        √(floor² + (factor·s)²), as one standard deviation, where s is the spread over the heads of
        :attr:`Head.spread` and over the crops. Empty if that was not measured.
    everyday : scores of a stated set of photos, none of them judged by a head that saw it; None if
        that was not measured.
    """

    name: str
    dataset: str
    score_range: tuple[float, float]
    higher_is_better: bool
    n_images: int
    features: int
    strength: float
    metrics: dict[str, float] = field(default_factory=dict)
    calibration: tuple[tuple[float, float], ...] = ()
    note: str = ""
    encoder: str = ""
    uncertainty: tuple[float, ...] = ()
    everyday: Everyday | None = None

    def __post_init__(self) -> None:
        low, high = self.score_range
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise ValueError(f"score_range must be two finite numbers lo < hi, got {low}, {high}")
        if self.features < 1:
            raise ValueError(f"features must be at least 1, got {self.features}")
        _check_calibration(self.calibration, self.higher_is_better)
        sizes = self.uncertainty
        if len(sizes) not in (0, 2) or not all(math.isfinite(x) and x >= 0 for x in sizes):
            raise ValueError(f"uncertainty must be a floor and a factor ≥ 0, got {sizes}")

    @property
    def knots(self) -> tuple[tuple[float, float], ...]:
        """The knots (raw, score) in use: the calibration, or the ends of ``score_range``."""
        if self.calibration:
            return self.calibration
        low, high = self.score_range
        worst, best = (0.0, 100.0) if self.higher_is_better else (100.0, 0.0)
        return (low, worst), (high, best)


@dataclass(frozen=True)
class HeadScore:
    """One image's score.

    Attributes
    ----------
    score : 0-100, higher is better.
    raw : the ridge prediction in the units of the dataset the head was fitted on.
    clipped : whether ``raw`` lay outside the range that maps onto 0-100.
    uncertainty : by how many points it may be off, as one standard deviation; None if not known.
    strangeness : its uncertainty over that of a photo like those of the fit, ≥ 1; None likewise.
    """

    score: float
    raw: float
    clipped: bool
    uncertainty: float | None = None
    strangeness: float | None = None


@dataclass(frozen=True, eq=False)
class Head:
    """A linear regressor on frozen features.

    Attributes
    ----------
    weight : (F,) float32.
    bias : float.
    info : what it was fitted on.
    spread : (B, F+1) float32, weights and bias of heads fitted to other draws of the images, minus
        those of this one; None if there are none.
    """

    weight: Tensor
    bias: float
    info: HeadInfo
    spread: Tensor | None = None

    def __post_init__(self) -> None:
        if tuple(self.weight.shape) != (self.info.features,):
            raise ValueError(
                f"weight must have shape ({self.info.features},), got {tuple(self.weight.shape)}"
            )
        if not (bool(torch.isfinite(self.weight).all()) and math.isfinite(self.bias)):
            raise ValueError("weight and bias must be finite")
        if (self.spread is None) != (not self.info.uncertainty):
            raise ValueError("spread and uncertainty belong together")
        if self.spread is not None:
            size = self.info.features + 1
            if self.spread.ndim != 2 or self.spread.shape[1] != size or not len(self.spread):
                raise ValueError(
                    f"spread must have shape (B, {size}), got {tuple(self.spread.shape)}"
                )
            if not bool(torch.isfinite(self.spread).all()):
                raise ValueError("spread must be finite")

    def raw(self, features: Tensor) -> float:
        """Mean over the crops of the linear prediction from ``features`` (K, F), a row a crop.

        Summed in float64, so that the order and the number of images in a batch leave no trace.
        """
        if features.ndim != 2 or features.shape[0] < 1 or features.shape[1] != len(self.weight):
            raise ValueError(
                f"expected features (K, {len(self.weight)}), got {tuple(features.shape)}"
            )
        mean = features.detach().cpu().double().mean(0)
        return float(mean @ self.weight.cpu().double()) + self.bias

    def score(self, features: Tensor) -> HeadScore:
        """The score of one image from its features (K, F): 0-100, higher is better."""
        raw = self.raw(features)
        found = to_score(raw, self.info.knots)
        if self.spread is None:
            return found
        off = self._raw_uncertainty(features, self.spread)
        ends = [to_score(raw + side, self.info.knots).score for side in (-off, off)]
        floor = self.info.uncertainty[0]
        strangeness = off / floor if floor else None
        return replace(found, uncertainty=abs(ends[1] - ends[0]) / 2, strangeness=strangeness)

    def _raw_uncertainty(self, features: Tensor, spread: Tensor) -> float:
        """How far off the raw prediction may be: see :attr:`HeadInfo.uncertainty`.

        The crops' part is the variance of their mean, of independent crops.
        """
        floor, factor = self.info.uncertainty
        crops = features.detach().cpu().double()
        variance = float(spread_of(crops.mean(0, keepdim=True), spread.cpu())) ** 2
        if len(crops) > 1:
            variance += float((crops @ self.weight.cpu().double()).var()) / len(crops)
        return math.hypot(floor, factor * variance**0.5)


def spread_of(features: Tensor, drawn: Tensor) -> Tensor:
    """(n,) float64, root mean square of what heads ``drawn`` (B, F+1), each minus another one, say
    differently of ``features`` (n, F)."""
    differ = features.double() @ drawn[:, :-1].T.double() + drawn[:, -1].double()
    return differ.square().mean(1).sqrt()


def to_score(raw: float, knots: tuple[tuple[float, float], ...]) -> HeadScore:
    """``raw`` on 0-100 by linear interpolation between ``knots``; beyond the last knot, clipped."""
    at, scores = zip(*knots, strict=True)
    score = float(np.interp(raw, at, scores))
    return HeadScore(score, raw, clipped=not at[0] <= raw <= at[-1])


def _check_calibration(knots: tuple[tuple[float, float], ...], higher_is_better: bool) -> None:
    if len(knots) == 1:
        raise ValueError("calibration needs at least two knots")
    sign = 1.0 if higher_is_better else -1.0
    for (raw, score), (next_raw, next_score) in pairwise(knots):
        if not (raw < next_raw and sign * score <= sign * next_score):
            direction = "rise" if higher_is_better else "fall"
            raise ValueError(f"calibration: raw values must rise and scores {direction}")
    if not all(math.isfinite(raw) and 0 <= score <= 100 for raw, score in knots):
        raise ValueError("calibration: raw values must be finite and scores within 0-100")
