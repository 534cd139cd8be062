"""Which rows stay: thresholds first, in passes over few columns; then the rows themselves.

Memory holds one batch of rows, whatever their number. The choice depends on the rows alone, not on
their order: of rows with just the score at which ``top`` cuts, those with the smallest hash of
their names stay.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from shamisa_cli.errors import UsageError, near_matches
from shamisa_cli.filtering.criteria import Criteria, columns_of, rank_of
from shamisa_cli.filtering.ranks import Codes, RankFinder, codes_of, find_ranks, value_of

if TYPE_CHECKING:
    import pyarrow as pa

Mask = NDArray[np.bool_]

NAMES = ("uid", "key", "path")
"""Columns that say which photo a row is about."""


class Rows(Protocol):
    """Rows of a table that can be read again and again."""

    @property
    def schema(self) -> pa.Schema: ...

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """A pass over all rows, with some of their columns or all."""
        ...


@dataclass(frozen=True)
class Cut:
    """Where ``top`` cuts: above ``score`` all stay; at it, hashes below ``tie``; at that, ``last``.

    Attributes
    ----------
    at, staying : how many rows have just that score, and how many of them stay.
    """

    score: float
    at: int
    staying: int
    tie: int | None = None
    last: Counter[bytes] = field(default_factory=Counter)


@dataclass
class Choice:
    """The rows that stay; made by :func:`choose`.

    Attributes
    ----------
    total, failed : numbers of rows, and of those without a score.
    bounds : the lowest and highest value of each of the criteria's quantiles.
    cut : of ``top``; None without it, or if no row passes the rest.
    """

    rows: Rows
    criteria: Criteria
    total: int = 0
    failed: int = 0
    bounds: list[tuple[float, float]] = field(default_factory=list)
    cut: Cut | None = None

    def masks(self, columns: Sequence[str] | None = ()) -> Iterator[tuple[pa.RecordBatch, Mask]]:
        """A pass: batches of rows with ``columns`` (None: all), and which rows of them stay."""
        cut = self.cut
        last = Counter(cut.last) if cut else Counter()
        names = self.names if cut and cut.tie is not None else []
        for batch in self._batches(columns, names):
            mask = self.passing(batch)
            if cut is None:
                yield batch, mask
                continue
            score = scores(batch)
            tied = mask & (score == cut.score)
            mask &= score > cut.score
            if cut.tie is None:
                mask |= tied
            else:
                mask[_first_of(batch, tied, names, cut.tie, last)] = True
            yield batch, mask

    @property
    def names(self) -> list[str]:
        """The columns that name a row."""
        return [name for name in NAMES if name in self.rows.schema.names]

    def passing(self, batch: pa.RecordBatch) -> Mask:
        """Which rows pass everything but ``top``."""
        mask, score = self.of_status(batch), scores(batch)
        if self.criteria.by_score:
            mask &= np.isfinite(score)
        if self.criteria.minimum is not None:
            mask &= score >= self.criteria.minimum
        if self.criteria.maximum is not None:
            mask &= score <= self.criteria.maximum
        for between, (low, high) in zip(self.criteria.quantiles, self.bounds, strict=False):
            values = numbers(batch, between.column)
            mask &= (values >= low) & (values <= high)
        return mask

    def of_status(self, batch: pa.RecordBatch) -> Mask:
        """Which rows have a status that is asked for; one without a score is failed."""
        import pyarrow.compute as pc

        status, scored = batch.column("status"), np.isfinite(scores(batch))
        held = pc.is_in(status, value_set=_array_like(status, self.criteria.texts))
        failed = pc.fill_null(pc.equal(status, "failed"), False)
        mask: Mask = held.to_numpy(zero_copy_only=False)
        return mask & (scored | failed.to_numpy(zero_copy_only=False))

    def _batches(
        self, columns: Sequence[str] | None, more: Sequence[str]
    ) -> Iterator[pa.RecordBatch]:
        if columns is None:
            return self.rows.batches()
        needed = ["score", "status", *columns_of(self.criteria.quantiles), *more, *columns]
        return self.rows.batches(list(dict.fromkeys(needed)))


def choose(rows: Rows, criteria: Criteria) -> Choice:
    """Find which of ``rows`` stay by ``criteria``.

    Raises
    ------
    UsageError
        if a column is not there or holds no numbers, or scores are those of several models.
    """
    _check_columns(rows.schema, criteria)
    choice = Choice(rows, criteria)
    _survey(choice)
    if criteria.top is not None:
        _cut(choice)
    return choice


def scores(batch: pa.RecordBatch) -> NDArray[np.float64]:
    """The scores of rows; NaN where there is none."""
    return numbers(batch, "score")


def numbers(batch: pa.RecordBatch, column: str) -> NDArray[np.float64]:
    """A column as float64; NaN where there is no value."""
    import pyarrow as pa

    try:
        values = batch.column(column).cast(pa.float64(), safe=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise UsageError(f"column {column}: does not hold numbers ({error})") from error
    return values.to_numpy(zero_copy_only=False)


def identities(batch: pa.RecordBatch, names: Sequence[str], rows: NDArray[np.intp]) -> list[bytes]:
    """What tells each of ``rows`` (places in the batch) from others: the texts that name it."""
    import pyarrow as pa

    texts = [batch.column(name).take(pa.array(rows)).to_pylist() for name in names]
    return [
        b"\0".join(b"" if text is None else str(text).encode() for text in row)
        for row in zip(*texts, strict=True)
    ]


def _check_columns(schema: pa.Schema, criteria: Criteria) -> None:
    import pyarrow as pa

    for column in columns_of(criteria.quantiles):
        if column not in schema.names:
            near = near_matches(column, schema.names)
            guess = f"did you mean {' or '.join(near)}?" if near else f"{', '.join(schema.names)}"
            raise UsageError(f"quantile of {column}: there is no such column; {guess}")
        kind = schema.field(column).type
        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
            raise UsageError(f"quantile of {column}: the column holds {kind}, not numbers")


def _survey(choice: Choice) -> None:
    """The passes that count rows, compare their models, and find the bounds of quantiles."""
    quantiles = choice.criteria.quantiles
    finders = [
        RankFinder(lambda count, q=q: rank_of(q, count))  # type: ignore[misc]
        for each in quantiles
        for q in (each.low, each.high)
    ]
    models: set[str] = set()
    more = [name for name in ("model",) if name in choice.rows.schema.names]

    def read() -> Iterator[list[Codes]]:
        first = not choice.total
        for batch in choice._batches((), more if first else ()):
            if first:
                choice.total += len(batch)
                choice.failed += int((~np.isfinite(scores(batch))).sum())
                _see_models(batch, models)
            mask = choice.of_status(batch)
            codes = []
            for each in quantiles:
                values = numbers(batch, each.column)
                found = codes_of(values[mask & np.isfinite(values)])
                codes += [found, found]
            yield codes

    if finders:
        find_ranks(finders, read)
    else:
        for _ in read():
            pass
    ends = [np.nan if each.found is None else value_of(each.found) for each in finders]
    choice.bounds = list(zip(ends[::2], ends[1::2], strict=True))


def _see_models(batch: pa.RecordBatch, models: set[str]) -> None:
    if "model" not in batch.schema.names:
        return
    models.update(str(each) for each in batch.column("model").unique().to_pylist() if each)
    if len(models) > 1:
        some = " and ".join(sorted(models)[:2])
        raise UsageError(f"rows of several models, {some}: their scores do not compare")


def _cut(choice: Choice) -> None:
    """Find where ``top`` cuts."""
    top = choice.criteria.top
    assert top is not None
    finder = RankFinder(lambda count: count - top.of(count))

    def read() -> Iterator[list[Codes]]:
        for batch in choice._batches((), ()):
            yield [codes_of(scores(batch)[choice.passing(batch)])]

    find_ranks([finder], read)
    if finder.found is None:
        return
    above = finder.count - finder.below - finder.equal
    cut = Cut(value_of(finder.found), finder.equal, top.of(finder.count) - above)
    choice.cut = cut if cut.staying == cut.at else _break_tie(choice, cut)


def _break_tie(choice: Choice, cut: Cut) -> Cut:
    """The same with the hash below which rows of just that score stay."""
    names = choice.names

    def tied() -> Iterator[list[bytes]]:
        for batch in choice._batches((), names):
            mask = choice.passing(batch) & (scores(batch) == cut.score)
            yield identities(batch, names, np.flatnonzero(mask))

    finder = RankFinder(lambda _: cut.staying - 1)
    find_ranks([finder], lambda: ([_hashes(found)] for found in tied()))
    assert finder.found is not None
    last: Counter[bytes] = Counter()
    for found in tied():
        hashes = _hashes(found) == np.uint64(finder.found)
        last.update(found[place] for place in np.flatnonzero(hashes))
    left, staying = cut.staying - finder.below, Counter[bytes]()
    for name in sorted(last):  # mostly one
        staying[name] = min(left, last[name])
        left -= staying[name]
    return Cut(cut.score, cut.at, cut.staying, finder.found, staying)


def _first_of(
    batch: pa.RecordBatch, tied: Mask, names: Sequence[str], tie: int, last: Counter[bytes]
) -> list[int]:
    """The places of ``tied`` rows that stay; ``last`` loses those of them at the hash ``tie``."""
    places = np.flatnonzero(tied)
    found = identities(batch, names, places)
    stay = []
    for place, name, code in zip(places.tolist(), found, _hashes(found).tolist(), strict=True):
        if code == tie and last[name] > 0:
            last[name] -= 1
            stay.append(place)
        elif code < tie:
            stay.append(place)
    return stay


def _hashes(names: Sequence[bytes]) -> Codes:
    """A number of 64 bits for each of ``names``."""
    digests = b"".join(blake2b(name, digest_size=8).digest() for name in names)
    return np.frombuffer(digests, "<u8").astype(np.uint64)


def _array_like(column: pa.Array, texts: Sequence[str]) -> pa.Array:
    import pyarrow as pa

    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    return pa.array(list(texts), kind)
