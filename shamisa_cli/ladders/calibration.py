"""From raw predictions to scores that people can learn to read.

A dataset's own scale says little to those who never took part in its study. Anyone can imagine a
good photo, and the same photo badly damaged: their medians get the scores :data:`PRISTINE` and
:data:`STRONGEST`. Between and beyond them scores follow a logistic curve, as people's ratings level
off at both ends (ITU-R BT.500 fits the same), so that hardly any two photos tie at 0 or 100.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from shamisa_cli.errors import UsageError
from shamisa_cli.evaluation.measures import Array
from shamisa_cli.models.head import Head

STRONGEST, PRISTINE = 20.0, 80.0
"""Scores of the median photo at the strongest level of the distortions, and of it as it is."""

_AT = (0.0, 0.2, 0.5, 1, 2, 4, 7, 10, 15, 20, 30, 40, 50)
"""Scores up to 50 at which there are knots; those above mirror them."""


def with_calibration(head: Head, strongest: Array, pristine: Array) -> Head:
    """``head`` with knots for predictions of which higher is better; see the module's docstring.

    It predicts in the dataset's own direction, and so do the knots.
    """
    info, knots = head.info, calibration_knots(strongest, pristine)
    if not info.higher_is_better:
        turned = sum(info.score_range)
        knots = tuple((turned - raw, score) for raw, score in reversed(knots))
    return replace(head, info=replace(info, calibration=knots))


def calibration_knots(strongest: Array, pristine: Array) -> tuple[tuple[float, float], ...]:
    """Knots (raw, score) along a logistic curve, both rising; between them a score is linear.

    Parameters
    ----------
    strongest : raw predictions for good photos at the strongest level of distortions; their median
        has score :data:`STRONGEST`.
    pristine : of good photos as they are; their median has score :data:`PRISTINE`.
    """
    low, high = (float(np.median(each)) for each in (strongest, pristine))
    if not low < high:
        raise UsageError(
            "the head cannot be calibrated: its median for the strongest distortions is "
            f"{low:.1f}, for good photos {high:.1f}; give the ladders a larger weight or drop, or "
            "leave calibration out"
        )
    scores = np.array([*_AT, *(100 - score for score in reversed(_AT[:-1]))])
    inside = np.clip(scores, 0.02, 99.98)  # the curve itself never reaches the ends
    from_low, to_high = _logit(np.array([STRONGEST, PRISTINE]))
    share = (_logit(inside) - from_low) / (to_high - from_low)
    return tuple(
        (float(low + (high - low) * s), float(score))
        for s, score in zip(share, scores, strict=True)
    )


def _logit(score: Array) -> Array:
    return np.log(score / (100 - score))
