"""The Explainer: photos in; scores, what each photo looks like, and where it looks bad, out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from shamisa_cli.encoders.threads import one_thread
from shamisa_cli.errors import UsageError
from shamisa_cli.explaining.kinds import Likeness, heard, in_words
from shamisa_cli.explaining.places import QualityMap, quality_map
from shamisa_cli.explaining.reading import Readable, readable_of
from shamisa_cli.explaining.store import ExplainHeads, check_fits, load_explain_heads
from shamisa_cli.imaging.ahead import map_ahead
from shamisa_cli.imaging.arrays import to_tensor
from shamisa_cli.models.config import ModelConfig
from shamisa_cli.models.names import CONFIG_FILE, locate_model
from shamisa_cli.scoring.loading import load
from shamisa_cli.scoring.photos import Photo
from shamisa_cli.scoring.score import Score
from shamisa_cli.scoring.scorer import Prepared, Scorer

NOTHING = "no damage that it knows"
"""What a photo looks like in which no kind is likely."""


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

    def on_photo(self) -> Tensor:
        """(height, width): the map's points on the photo's own grid; ValueError if it failed."""
        if self.quality is None or self.score.width is None or self.score.height is None:
            raise ValueError("a photo that failed has no map")
        return self.quality.on_photo((self.score.width, self.score.height))

    def to_mapping(self) -> dict[str, Any]:
        """Everything but the pictures, for JSON: the row of the score, every kind, the map."""
        mapping: dict[str, Any] = self.score.to_row()
        mapping["kinds"] = [asdict(kind) for kind in self.kinds]
        if self.quality is not None:
            places = [[round(value, 2) for value in row] for row in self.quality.points.tolist()]
            facts = {"base": self.quality.base, "left_over": self.quality.left_over}
            mapping["map"] = {**facts, "points": places}
        return mapping


class Explainer:
    """A scorer, and the readings that explain its scores; made by :func:`load_explainer`.

    Attributes
    ----------
    scorer : its scores are those of ``shamisa score``, to the bit.
    heads : of kinds and of places.
    readable : what these read of features and cells.
    """

    def __init__(self, scorer: Scorer, heads: ExplainHeads, readable: Readable) -> None:
        self.scorer = scorer
        self.heads = heads
        self.readable = readable

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
            for photo, result in scorer.apart(self.explain, photos):
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
        features, cells = self.readable.of(features, cells)
        ((crops, *_),) = prepared.crops
        seen, view = (crops.shape[2], crops.shape[1]), prepared.viewing_size
        picture = _middle(crops[0], view)
        kinds = self.heads.kinds.read(heard(features, to_tensor(picture)))
        likely = self.heads.kinds.named(kinds)
        quality = quality_map(cells, self.heads.places, score.score or 0.0, seen, view)
        score = replace(score, looks_like=in_words(likely))
        return Explanation(score, tuple(kinds), tuple(likely), quality, picture)

    def _or_failed(self, photo: Photo, result: Explanation | Exception) -> Explanation:
        if isinstance(result, Explanation):
            return result
        return Explanation(self.scorer.failed(photo, result))


def _middle(pixels: np.ndarray, size: tuple[int, int]) -> Image.Image:
    """The photo of ``size`` (width, height) px in the middle of padded pixels (h, w, 3)."""
    left, top = (pixels.shape[1] - size[0]) // 2, (pixels.shape[0] - size[1]) // 2
    return Image.fromarray(pixels[top : top + size[1], left : left + size[0]])


def load_explainer(
    model: str | Path = "default", head: str | None = None, **options: Any
) -> Explainer:
    """A model, ready to explain its scores; parameters are those of :func:`shamisa.load`.

    Raises
    ------
    UsageError
        if the model cannot explain scores of this head or protocol; else as of ``load``.
    """
    return explain_scorer(load(model, head, **options), model)


def explain_scorer(scorer: Scorer, model: str | Path) -> Explainer:
    """An explainer of a scorer that was loaded from ``model``; raises as :func:`load_explainer`."""
    folder = locate_model(str(model))
    config = ModelConfig.load(folder / CONFIG_FILE)
    if not scorer.extractor.has_cells:
        raise UsageError(
            "explanations need photos seen whole, by a model with pooling regions; leave out "
            "native and crops"
        )
    heads = load_explain_heads(folder, config, scorer.head.info.name)
    readable = readable_of(scorer.extractor, heads.info.ends)
    check_fits(heads, readable, folder)
    return Explainer(scorer, heads, readable)
