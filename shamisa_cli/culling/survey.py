"""The photos of a cull: scored, with features and EXIF, in one pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from torch import Tensor

from shamisa_cli.culling.capture import read_capture
from shamisa_cli.culling.frames import Frame
from shamisa_cli.evaluation.feature_cache import FeatureCache, features_key
from shamisa_cli.scoring.records import record_photo
from shamisa_cli.scoring.score import Score
from shamisa_cli.scoring.scorer import Scorer


@dataclass(frozen=True)
class Survey:
    """What was found: photos with a score, and those that failed."""

    frames: list[Frame] = field(default_factory=list)
    failed: list[Score] = field(default_factory=list)

    @property
    def paths(self) -> list[str]:
        """Of all of them."""
        return [*(frame.path for frame in self.frames), *(row.path for row in self.failed)]


def survey(
    scorer: Scorer,
    photos: Sequence[str],
    tell: Callable[[], object] = lambda: None,
    keep: Path | None = None,
) -> Survey:
    """Score ``photos``, different ones; ``tell`` is called after each.

    Features are kept where their distances are known to mean something: for encoders that are read
    by ``regions``, as the bundled ones are.

    Parameters
    ----------
    keep : a folder of features by the content of photos: a photo that was in it is not looked at
        again.
    """
    encoder = scorer.extractor.encoder
    cache = FeatureCache(keep, features_key(encoder, scorer.extractor)) if keep else None
    records = {photo: record_photo(photo, content=True) for photo in photos} if cache else {}
    digests = {photo: record.sha256 for photo, record in records.items() if record is not None}
    found: dict[str, Frame | Score] = {}

    def add(photo: str, score: float, features: Tensor) -> None:
        described = _unit(features) if encoder.pooling == "regions" else None
        found[photo] = Frame(photo, score, described, read_capture(photo))
        tell()

    for photo, digest in digests.items():
        kept = cache.get(digest) if cache else None
        if kept is not None:
            add(photo, scorer.head.score(kept).score, kept)
    for row, features in scorer.score_with_features([p for p in photos if p not in found]):
        if row.score is None or features is None:
            found[row.path] = row
            tell()
            continue
        if cache and row.path in digests:
            cache.put(digests[row.path], features)
        add(row.path, row.score, features)
    ordered = [found[photo] for photo in photos]
    return Survey(
        [each for each in ordered if isinstance(each, Frame)],
        [each for each in ordered if isinstance(each, Score)],
    )


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
