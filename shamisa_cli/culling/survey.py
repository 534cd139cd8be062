"""The photos of a cull: scored, with features and EXIF, in one pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from shamisa_cli.culling.capture import read_capture
from shamisa_cli.culling.frames import Frame
from shamisa_cli.scoring.score import Score
from shamisa_cli.scoring.scorer import Scorer


@dataclass(frozen=True)
class Survey:
    """What was found: photos with a score, and those that failed."""

    frames: list[Frame] = field(default_factory=list)
    failed: list[Score] = field(default_factory=list)


def survey(
    scorer: Scorer, photos: Iterable[str], tell: Callable[[Score], object] = lambda row: None
) -> Survey:
    """Score ``photos``, once each; ``tell`` is told of every row.

    Features are kept where their distances are known to mean something: for encoders that are read
    by ``regions``, as the bundled ones are.
    """
    found = Survey()
    known = scorer.extractor.encoder.pooling == "regions"
    for row, features in scorer.score_with_features(photos):
        tell(row)
        if row.score is None:
            found.failed.append(row)
            continue
        described = _unit(features) if known and features is not None else None
        found.frames.append(Frame(row.path, row.score, described, read_capture(row.path)))
    return found


def _unit(features: Tensor) -> np.ndarray:
    mean = features.mean(0).numpy().astype(np.float64)
    return (mean / max(float(np.linalg.norm(mean)), 1e-12)).astype(np.float16)


def survey_rows(rows: Iterable[Score]) -> Survey:
    """The same from rows of an earlier run, which have no features: detail alone tells scenes."""
    found = Survey()
    for row in rows:
        if row.score is None:
            found.failed.append(row)
        else:
            found.frames.append(Frame(row.path, row.score, None, read_capture(row.path)))
    return found
