"""The Explainer: photos in; scores, what each photo looks like, and where it looks bad, out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image

from shamisa_cli.encoders.threads import one_thread, one_thread_each
from shamisa_cli.errors import UsageError
from shamisa_cli.explaining.kinds import Likeness, in_words
from shamisa_cli.explaining.places import QualityMap, quality_map
from shamisa_cli.explaining.store import ExplainHeads, load_explain_heads
from shamisa_cli.imaging.ahead import map_ahead
from shamisa_cli.models.config import ModelConfig
from shamisa_cli.models.names import CONFIG_FILE, locate_model
from shamisa_cli.scoring.loading import load
from shamisa_cli.scoring.photos import Photo
from shamisa_cli.scoring.score import Score
from shamisa_cli.scoring.scorer import Prepared, Scorer


@dataclass(frozen=True, eq=False)
class Explanation:
    """One photo's score, and what speaks for it.

    Attributes
    ----------
    score : as of :class:`~shamisa_cli.scoring.scorer.Scorer`, with ``looks_like`` filled.
    kinds : every kind of damage, the most probable first; empty if the photo failed.
    likely : those that are likely enough to be named.
    quality : where it looks good and bad; None if the photo failed.
    picture : the photo as the model looked at it, 8-bit RGB; None if the photo failed.
    """

    score: Score
    kinds: tuple[Likeness, ...] = ()
    likely: tuple[Likeness, ...] = ()
    quality: QualityMap | None = None
    picture: Image.Image | None = None


class Explainer:
    """A scorer, and the readings that explain its scores; made by :func:`load_explainer`.

    Attributes
    ----------
    scorer : its scores are those of ``shamisa score``, to the bit.
    heads : of kinds and of places.
    """

    def __init__(self, scorer: Scorer, heads: ExplainHeads) -> None:
        self.scorer = scorer
        self.heads = heads

    def explain(self, photo: Photo) -> Explanation:
        """Explain one photo; a PhotoError if it cannot be read.

        Examples
        --------
        >>> from PIL import Image, ImageFilter
        >>> from sklearn.datasets import load_sample_image
        >>> photo = Image.fromarray(load_sample_image("china.jpg"))
        >>> explainer = load_explainer("fast", device="cpu", precision="fp32")
        >>> explainer.explain(photo.filter(ImageFilter.GaussianBlur(4))).likely[0].kind
        'gaussian_blur'
        """
        with one_thread() if self.scorer.alone else nullcontext():
            return self._explained(photo, self.scorer.prepare(photo))

    def explain_many(self, photos: Iterable[Photo]) -> Iterator[Explanation]:
        """Explain photos in their order, in threads; one that cannot be read stops no other."""
        scorer = self.scorer
        if scorer.alone:
            explain = self.explain if scorer.workers else one_thread()(self.explain)
            with one_thread_each() as initializer:
                made = map_ahead(explain, photos, scorer.workers, initializer=initializer)
                for photo, result in made:
                    yield self._or_failed(photo, result)
            return
        for photo, prepared in map_ahead(scorer.prepare, photos, scorer.workers):
            if isinstance(prepared, Prepared):
                yield self._explained(photo, prepared)
            else:
                yield self._or_failed(photo, prepared)

    def _explained(self, photo: Photo, prepared: Prepared) -> Explanation:
        features, cells = self.scorer.extractor.features_and_cells(prepared.crops)
        score = self.scorer.scored(photo, prepared, features)
        kinds, likely = self.heads.kinds.read(features), self.heads.kinds.likely(features)
        quality = quality_map(cells, self.heads.places, score.score or 0.0)
        score = replace(score, looks_like=in_words(likely))
        ((crops, *_),) = prepared.crops
        picture = Image.fromarray(crops[0])
        return Explanation(score, tuple(kinds), tuple(likely), quality, picture)

    def _or_failed(self, photo: Photo, result: Explanation | Exception) -> Explanation:
        if isinstance(result, Explanation):
            return result
        return Explanation(self.scorer.failed(photo, result))


def load_explainer(
    model: str | Path = "default", head: str | None = None, **options: Any
) -> Explainer:
    """A model, ready to explain its scores; parameters are those of :func:`shamisa.load`.

    Raises
    ------
    UsageError
        if the model cannot explain scores of this head or protocol; else as of ``load``.
    """
    folder = locate_model(str(model))
    scorer = load(folder, head, **options)
    config = ModelConfig.load(folder / CONFIG_FILE)
    heads = load_explain_heads(folder, config, scorer.head.info.name)
    if not scorer.extractor.has_cells:
        raise UsageError(
            "explanations need photos seen whole, by a model with pooling regions; leave out "
            "native and crops"
        )
    return Explainer(scorer, heads)
