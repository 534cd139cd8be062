"""From raw predictions to 0-100, so that the numbers have a meaning that people can learn.

A dataset's own scale says little to those who never took part in its study. A good photo, and the
same photo badly damaged, are what anyone can imagine; their medians are put where one would look
for them. A dataset's photos then lie between and around these.
"""

from __future__ import annotations

import numpy as np

from shamisa_cli.errors import UsageError
from shamisa_cli.evaluation.measures import Array

STRONGEST, PRISTINE = 20.0, 80.0
"""Scores of the median photo at the strongest level of the distortions, and of it as it is."""

BEYOND = 0.005
"""Share of the pictures that may lie beyond either end of 0-100."""


def calibration_knots(
    strongest: Array, everyday: Array, pristine: Array, higher_is_better: bool = True
) -> tuple[tuple[float, float], ...]:
    """Knots (raw, score) of a monotone map, raw rising; between them it is linear.

    Parameters
    ----------
    strongest : raw predictions for good photos at the strongest level of distortions; their median
        has score :data:`STRONGEST`.
    everyday : of the dataset's photos. Of these and the strongest, all but :data:`BEYOND` have
        scores above 0, of these and the pristine below 100.
    pristine : of good photos as they are; their median has score :data:`PRISTINE`.
    higher_is_better : direction of the raw values.

    Raises
    ------
    UsageError
        if the strongest distortions have no lower median than good photos.
    """
    sign = 1.0 if higher_is_better else -1.0
    low, high = (float(np.median(sign * each)) for each in (strongest, pristine))
    if not low < high:
        raise UsageError(
            "the head cannot be calibrated: its median for the strongest distortions is "
            f"{sign * low:.1f}, for good photos {sign * high:.1f}; give a larger --ladder-weight "
            "or --ladder-drop, or leave --calibrate out"
        )
    worst = np.quantile(sign * np.concatenate([strongest, everyday]), BEYOND)
    best = np.quantile(sign * np.concatenate([everyday, pristine]), 1 - BEYOND)
    knots = [(low, STRONGEST), (high, PRISTINE)]
    if worst < low:
        knots.insert(0, (float(worst), 0.0))
    if best > high:
        knots.append((float(best), 100.0))
    return tuple(sorted((sign * raw, score) for raw, score in knots))
