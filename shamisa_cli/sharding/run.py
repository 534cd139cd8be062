"""The run: shards to an engine, failed ones again, and the ledger of what is done."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any

from shamisa_cli.engines.engine import Engine, Prepare
from shamisa_cli.errors import UsageError
from shamisa_cli.files import MARK
from shamisa_cli.scoring import Scorer, load
from shamisa_cli.sharding.manifest import Manifest, Shard, read_manifest
from shamisa_cli.sharding.pace import Pace, pace_of
from shamisa_cli.sharding.parts import Counts, part_name, read_counts
from shamisa_cli.sharding.storage import Folder
from shamisa_cli.sharding.work import PrepareScoring

_READERS = 16
"""Parts whose last bytes are read at a time."""


@dataclass(frozen=True)
class Outcome:
    """What became of an attempt at a shard.

    Attributes
    ----------
    shard : the task.
    counts : of its part; None if it failed.
    error : why it failed; empty if it did not.
    final : whether it is done, or has failed for good in this run.
    """

    shard: Shard
    counts: Counts | None
    error: str = ""
    final: bool = True


@dataclass(frozen=True)
class Status:
    """How far a run is, by its folder.

    Attributes
    ----------
    shards, done : how many there are, and have a part.
    photos, failed : rows of the parts, and those without a score.
    errors : of shards that failed in the last run that tried them, by what people call them.
    pace : how fast it is; None if that cannot be told yet.
    """

    shards: int
    done: int
    photos: int
    failed: int
    errors: Mapping[str, str] = field(default_factory=dict)
    pace: Pace | None = None


def preparation(
    manifest: Manifest,
    folder: Folder,
    loading: Mapping[str, Any],
    make: Callable[..., Scorer] | None = None,
) -> PrepareScoring:
    """What makes workers of a run ready; ``make`` or ``scoring.load`` gets ``loading``."""
    return PrepareScoring(
        partial(make or load, **loading),
        manifest.model,
        folder.address,
        manifest.kind,
        manifest.image_column,
        manifest.kept,
        bool(manifest.options["embeddings"]),
    )


def share_of(shards: Iterator[Shard], job: tuple[int, int]) -> list[Shard]:
    """Those of ``shards`` that job k of n has, k from 1 to n; together n jobs have each once.

    Raises
    ------
    UsageError
        if there is no such job.
    """
    k, n = job
    if not 1 <= k <= n:
        raise UsageError(f"shard must be k/n with k from 1 to n, got {k}/{n}")
    return list(islice(shards, k - 1, None, n))


def unfinished(folder: Folder, shards: Sequence[Shard]) -> list[Shard]:
    """Those of ``shards`` that have no part yet."""
    there = folder.names()
    return [shard for shard in shards if part_name(shard.id) not in there]


def run_shards(
    engine: Engine, prepare: Prepare, folder: Folder, shards: Sequence[Shard], attempts: int
) -> Iterator[Outcome]:
    """Have ``engine`` make the parts of ``shards``; yields what became of each attempt.

    Shards that failed are tried again once all others have been, ``attempts`` times in all. Then
    they are in the ledger as failed, with the error, until a later run makes their part.
    """
    known = {name for name in folder.names() if name.startswith("failed-")}
    left = list(shards)
    for attempt in range(1, attempts + 1):
        again: list[Shard] = []
        with closing(engine.run(prepare, left)) as ends:  # type: ignore[type-var]
            for ended in ends:
                shard: Shard = ended.task
                if not ended.error:
                    if failed_name(shard) in known:
                        folder.remove(failed_name(shard))
                    yield Outcome(shard, ended.result)
                    continue
                if attempt == attempts:
                    folder.write(failed_name(shard), _failure(shard, ended.error, attempts))
                else:
                    again.append(shard)
                yield Outcome(shard, None, ended.error, final=attempt == attempts)
        left = again
        if not left:
            return


def failed_name(shard: Shard) -> str:
    """The file in the ledger that says why a shard failed."""
    return f"failed-{shard.id}.json"


def read_status(folder: Folder) -> Status:
    """How far the run in ``folder`` is.

    Raises
    ------
    UsageError
        if there is none.
    """
    manifest = read_manifest(folder)
    if manifest is None:
        raise UsageError(f"{folder.address}: holds no run: there is no manifest.json")
    there = folder.times()
    shards = list(manifest.shards(folder))
    parts = [name for shard in shards if (name := part_name(shard.id)) in there]
    with ThreadPoolExecutor(_READERS) as pool:
        counts = list(pool.map(partial(read_counts, folder), parts))
    errors = {}
    for shard in shards:
        if failed_name(shard) in there and part_name(shard.id) not in there:
            errors[shard.name] = _error_in(folder, failed_name(shard))
    photos, failed = sum(each.photos for each in counts), sum(each.failed for each in counts)
    written = [
        (at, each.photos)
        for name, each in zip(parts, counts, strict=True)
        if (at := there[name]) is not None
    ]
    pace = pace_of(written, len(shards) - len(parts), time.time())
    return Status(len(shards), len(parts), photos, failed, errors, pace)


def _failure(shard: Shard, error: str, attempts: int) -> bytes:
    facts = {"made_by": MARK, "shard": shard.name, "error": error, "attempts": attempts}
    return json.dumps(facts, indent=1).encode() + b"\n"


def _error_in(folder: Folder, name: str) -> str:
    try:
        return str(json.loads(folder.read(name) or b"{}").get("error", "unknown"))
    except (ValueError, AttributeError):
        return "unknown"
