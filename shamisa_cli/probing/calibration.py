"""From raw predictions to 0-100, so that the numbers have a meaning that people can learn.

A dataset's own scale says little to those who never took part in its study. Three kinds of pictures
are what a user can imagine, and their medians are put where one would look for them.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from shamisa_cli.errors import UsageError
from shamisa_cli.probing.measures import Array

STRONGEST, EVERYDAY, PRISTINE = 20.0, 50.0, 80.0
"""Scores of the median photo at the strongest level of the distortions, of the median photo of the
dataset, and of the median good photo as it is."""


def calibration_knots(
    strongest: Array, everyday: Array, pristine: Array
) -> tuple[tuple[float, float], ...]:
    """Knots (raw, score) of a monotone map, raw rising: five, from score 0 to 100 or back.

    Between the three medians it is linear, and beyond them it goes on as steeply as before.

    Parameters
    ----------
    strongest : raw predictions for good photos at the strongest level of distortions.
    everyday : of the dataset's photos.
    pristine : of good photos as they are.

    Raises
    ------
    UsageError
        if the medians are not in this order, in either direction: no monotone map then exists.
    """
    raws = [float(np.median(values)) for values in (strongest, everyday, pristine)]
    steps = np.diff(raws)
    if not (np.all(steps > 0) or np.all(steps < 0)):
        raise UsageError(
            "the head cannot be calibrated: its median for the strongest distortions is "
            f"{raws[0]:.1f}, for the dataset {raws[1]:.1f}, for good photos {raws[2]:.1f}; "
            "give a larger --ladder-drop or --ladder-weight, or leave --calibrate out"
        )
    scores = [STRONGEST, EVERYDAY, PRISTINE]
    low, high = (
        (b - a) / (t - s) for (a, b), (s, t) in zip(pairwise(raws), pairwise(scores), strict=True)
    )
    knots = [
        (raws[0] - STRONGEST * low, 0.0),
        *zip(raws, scores, strict=True),
        (raws[2] + (100.0 - PRISTINE) * high, 100.0),
    ]
    return tuple(sorted(knots))
