"""What a worker does: it keeps a model, and makes a part of each shard that it is given."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from shamisa_cli.errors import ShamisaError
from shamisa_cli.scoring import Scorer
from shamisa_cli.sharding.inputs import Kind
from shamisa_cli.sharding.kept import Kept
from shamisa_cli.sharding.listing import listed_samples
from shamisa_cli.sharding.manifest import Shard
from shamisa_cli.sharding.parts import Counts, part_name, read_counts, writing_part
from shamisa_cli.sharding.samples import Content, Sample, parquet_samples, tar_samples
from shamisa_cli.sharding.schema import FEATURES, part_schema
from shamisa_cli.sharding.storage import Folder, open_for_reading
from shamisa_cli.spelling import escape_name


@dataclass(frozen=True)
class PrepareScoring:
    """Makes a worker ready to score shards; it can be pickled, and is small.

    Attributes
    ----------
    make_scorer : loads the model.
    model : that it must have, name@fingerprint.
    out : the folder of parts.
    kind, image_column, kept, embeddings : see :class:`~shamisa_cli.sharding.manifest.Manifest`.
    """

    make_scorer: Callable[[], Scorer]
    model: str
    out: str
    kind: Kind
    image_column: str | None
    kept: Kept
    embeddings: bool

    def __call__(self) -> ShardScorer:
        """The worker's function.

        Raises
        ------
        ShamisaError
            if its model is not that of the run.
        """
        # Pillow and libtiff warn of harmless oddities; what matters is in the rows.
        warnings.filterwarnings("ignore", module="PIL")
        scorer = self.make_scorer()
        if scorer.model != self.model:
            raise ShamisaError(f"this worker has model {scorer.model}, the run {self.model}")
        return ShardScorer(self, scorer)


class ShardScorer:
    """Scores shards into parts. State: a model.

    On a CPU one thread decodes and scores, while this one reads ahead: there is a worker for each
    core. Elsewhere threads decode ahead of the device.
    """

    def __init__(self, how: PrepareScoring, scorer: Scorer) -> None:
        self._how, self._scorer = how, scorer
        self._folder = Folder(how.out)
        size = scorer.head.info.features if how.embeddings else None
        self._schema = part_schema(size, how.kept.fields())
        scorer.hashes = True
        if scorer.extractor.device.type == "cpu":
            scorer.workers = 1

    def __call__(self, shard: Shard) -> Counts:
        """Write the part of ``shard``, unless it is there already; what it holds.

        Raises
        ------
        ShamisaError
            if the shard cannot be read; nothing of its part is there then.
        """
        if self._folder.has(part_name(shard.id)):  # another run was faster
            return read_counts(self._folder, part_name(shard.id))
        file = open_for_reading(shard.url, sequential=self._how.kind == "tar")
        with file, writing_part(self._folder, shard.id, self._schema) as part:
            for row in self._rows(self._samples(file, shard)):
                part.add(row)
        return part.counts

    def _samples(self, file: Any, shard: Shard) -> Iterator[Sample]:
        how = self._how
        path = escape_name(shard.path)
        if how.kind == "tar":
            return tar_samples(file, path)
        if how.kind == "parquet":
            return parquet_samples(file, path, how.image_column or "image", list(how.kept.columns))
        return listed_samples(file, shard.group)

    def _rows(self, samples: Iterable[Sample]) -> Iterator[dict[str, Any]]:
        """The rows of ``samples``, in order."""
        waiting: deque[Sample] = deque()

        def photos() -> Iterator[Content]:
            for sample in samples:
                waiting.append(replace(sample, image=b""))  # only the Scorer keeps its content
                yield Content(sample)

        fingerprint = self._scorer.model.rpartition("@")[2]
        for score, features in self._scorer.score_with_features(photos()):
            sample = waiting.popleft()
            row = {**score.to_row(), "path": sample.path, "key": sample.key}
            uid = sample.beside.get("uid")
            row |= {"uid": None if uid is None else str(uid), "fingerprint": fingerprint}
            row |= {"phash": score.phash, **self._how.kept.values(sample.beside)}
            if self._how.embeddings:
                row[FEATURES] = None if features is None else features.float().mean(0).numpy()
            yield row
