"""From raw predictions to 0-100, so that the numbers have a meaning that people can learn.

A dataset's own scale says little to those who never took part in its study. Three kinds of pictures
are what a user can imagine, and their medians are put where one would look for them.
"""

from __future__ import annotations

import numpy as np

from shamisa_cli.errors import UsageError
from shamisa_cli.probing.measures import Array

STRONGEST, EVERYDAY, PRISTINE = 20.0, 50.0, 80.0
"""Scores of the median photo at the strongest level of the distortions, of the median photo of the
dataset, and of the median good photo as it is."""

BEYOND = 0.005
"""Share of the strongest distortions that have score 0, and of the other photos that have 100."""


def calibration_knots(
    strongest: Array, everyday: Array, pristine: Array, higher_is_better: bool = True
) -> tuple[tuple[float, float], ...]:
    """Knots (raw, score) of a monotone map, raw rising: five, from score 0 to 100 or back.

    Between them it is linear. The three medians are in the middle; the ends are where all but
    :data:`BEYOND` of the pictures still have scores of their own.

    Parameters
    ----------
    strongest : raw predictions for good photos at the strongest level of distortions.
    everyday : of the dataset's photos.
    pristine : of good photos as they are.
    higher_is_better : direction of the raw values.

    Raises
    ------
    UsageError
        if the medians are not in this order: no monotone map then exists.
    """
    sign = 1.0 if higher_is_better else -1.0
    low, middle, high = (float(np.median(sign * each)) for each in (strongest, everyday, pristine))
    if not low < middle < high:
        raise UsageError(
            "the head cannot be calibrated: its median for the strongest distortions is "
            f"{sign * low:.1f}, for the dataset {sign * middle:.1f}, for good photos "
            f"{sign * high:.1f}; give a larger --ladder-weight or --ladder-drop, or leave "
            "--calibrate out"
        )
    worst = np.quantile(sign * strongest, BEYOND)
    best = np.quantile(sign * np.concatenate([everyday, pristine]), 1 - BEYOND)
    knots = [(low, STRONGEST), (middle, EVERYDAY), (high, PRISTINE)]
    if worst < low:
        knots.insert(0, (float(worst), 0.0))
    if best > high:
        knots.append((float(best), 100.0))
    return tuple(sorted((sign * raw, score) for raw, score in knots))
