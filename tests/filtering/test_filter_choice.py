"""Which rows stay, against a slow and obvious choice over all rows at once."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from hashlib import blake2b
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shamisa_cli.errors import UsageError
from shamisa_cli.filtering.choice import Choice, choose
from shamisa_cli.filtering.criteria import SCORED, Between, Criteria, Top, read_between, read_top

Row = dict[str, Any]

SCHEMA = pa.schema(
    {"key": pa.string(), "path": pa.string(), "score": pa.float64(), "status": pa.string()}
    | {"width": pa.int32(), "model": pa.string()}
)


class Memory:
    """Rows of a list, a few at a time."""

    schema = SCHEMA

    def __init__(self, rows: Sequence[Row], at_once: int = 5) -> None:
        self._table = pa.Table.from_pylist(list(rows), SCHEMA)
        self._at_once = at_once
        self.largest = 0

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        table = self._table.select(columns or self.schema.names)
        yield from table.to_batches(max_chunksize=self._at_once)


def row(key: str, score: float | None, status: str = "ok", width: int | None = 640) -> Row:
    return {
        "key": key,
        "path": f"a.tar/{key}.jpg",
        "score": score,
        "status": status,
        "width": width,
        "model": "m@1",
    }


def stays(choice: Choice) -> list[str]:
    """Keys of the rows that stay, in the order of the rows."""
    found = []
    for batch, mask in choice.masks(["key"]):
        found += batch.column("key").filter(pa.array(mask)).to_pylist()
    return found


def obvious(rows: Sequence[Row], criteria: Criteria) -> list[str]:
    """The same by sorting; ties by the hash of the names, as documented."""

    def fits(each: Row) -> bool:
        scored = each["score"] is not None and math.isfinite(each["score"])
        known = set(each["status"].split("+")) <= set(criteria.statuses)
        return known and (scored or each["status"] == "failed")

    good = [each for each in rows if fits(each)]
    passing = list(good)
    for between in criteria.quantiles:
        values = [each[between.column] for each in good if each[between.column] is not None]
        ends = [
            np.quantile(values, float(q), method="inverted_cdf") if values else math.nan
            for q in (between.low, between.high)
        ]
        passing = [
            each
            for each in passing
            if each[between.column] is not None and ends[0] <= each[between.column] <= ends[1]
        ]
    if criteria.by_score:
        low = -math.inf if criteria.minimum is None else criteria.minimum
        high = math.inf if criteria.maximum is None else criteria.maximum
        passing = [
            each for each in passing if each["score"] is not None and low <= each["score"] <= high
        ]
    if criteria.top is not None:

        def last(each: Row) -> tuple[float, int]:
            name = b"\0".join((each["key"].encode(), each["path"].encode()))
            return -each["score"], int.from_bytes(blake2b(name, digest_size=8).digest(), "little")

        passing = sorted(passing, key=last)[: criteria.top.of(len(passing))]
    kept = {each["key"] for each in passing}
    return [each["key"] for each in rows if each["key"] in kept]


SCORES = st.sampled_from([0.0, 40.0, 40.0001, 62.5, 62.5, 100.0]) | st.floats(0, 100)
FATES = st.one_of(
    st.tuples(SCORES, st.sampled_from(["ok", "ok", "padded", "clipped", "padded+clipped"])),
    st.just((None, "failed")),
    st.just((math.nan, "ok")),
)
ROWS = st.lists(st.tuples(FATES, st.none() | st.integers(1, 9)), max_size=40).map(
    lambda drawn: [row(f"{n:03d}", *fate, width) for n, (fate, width) in enumerate(drawn)]
)
SHARES = st.sampled_from(
    [Fraction(0), Fraction(1, 3), Fraction(1, 2), Fraction(9, 10), Fraction(1)]
)
CRITERIA = st.builds(
    Criteria,
    minimum=st.none() | st.sampled_from([0.0, 40.0, 62.5]),
    maximum=st.none() | st.sampled_from([62.5, 100.0]),
    top=st.none() | st.builds(Top, st.integers(1, 20)) | st.builds(Top, share=SHARES.filter(bool)),
    statuses=st.sampled_from(
        [SCORED, ("ok",), ("padded", "clipped"), ("failed",), ("ok", "failed")]
    ),
    quantiles=st.lists(
        st.tuples(st.sampled_from(["width", "score"]), SHARES, SHARES).map(
            lambda drawn: Between(drawn[0], min(drawn[1:]), max(drawn[1:]))
        ),
        max_size=2,
    ).map(tuple),
)


@settings(deadline=None, max_examples=80)
@given(ROWS, CRITERIA, st.randoms(use_true_random=False))
def test_as_sorting_all_rows_chooses(rows: list[Row], criteria: Criteria, random: Any) -> None:
    choice = choose(Memory(rows), criteria)
    expected = obvious(rows, criteria)
    assert stays(choice) == expected
    assert choice.total == len(rows)
    assert choice.failed == sum(each["score"] is None or math.isnan(each["score"]) for each in rows)
    shuffled = random.sample(rows, len(rows))
    assert sorted(stays(choose(Memory(shuffled, at_once=3), criteria))) == sorted(expected)


def test_a_share_is_exact_where_scores_are_tied() -> None:
    rows = [row(f"{n}", 100.0 if n % 2 else 50.0) for n in range(1000)]
    choice = choose(Memory(rows, 64), Criteria(top=read_top("30%")))
    found = stays(choice)
    assert len(found) == 300
    assert {int(key) % 2 for key in found} == {1}
    assert choice.cut is not None
    assert (choice.cut.score, choice.cut.at, choice.cut.staying) == (100.0, 500, 300)
    assert 40 < sum(int(key) < 250 for key in found) < 110  # not just the first ones


def test_rows_that_are_the_same_still_count() -> None:
    rows = [row("same", 70.0) for _ in range(7)] + [row("other", 70.0)]
    for count in range(1, 9):
        assert len(stays(choose(Memory(rows), Criteria(top=Top(count))))) == count


def test_no_rows_and_no_row_that_passes() -> None:
    for rows in ([], [row("a", None, "failed")]):
        for text in ("1", "100%"):
            choice = choose(Memory(rows), Criteria(top=read_top(text)))
            assert stays(choice) == []
            assert choice.cut is None


def test_scores_of_two_models_do_not_compare() -> None:
    rows = [row("a", 1.0), row("b", 2.0) | {"model": "m@2"}]
    with pytest.raises(UsageError, match="several models, m@1 and m@2"):
        choose(Memory(rows), Criteria())


@pytest.mark.parametrize(("column", "says"), [("widht", "width"), ("path", "holds string")])
def test_a_quantile_needs_a_column_of_numbers(column: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        choose(Memory([]), Criteria(quantiles=(Between(column, Fraction(0), Fraction(1)),)))


@pytest.mark.parametrize("text", ["", "0", "-3", "1.5", "0%", "101%", "x%", "%", "1/0%", "nan%"])
def test_what_top_cannot_be(text: str) -> None:
    with pytest.raises(UsageError, match="top"):
        read_top(text)


@pytest.mark.parametrize(
    "text", ["width", "width:0.5", ":0-1", "width:1-0", "width:0-2", "width:a-b", "width:0-1/0"]
)
def test_what_a_quantile_cannot_be(text: str) -> None:
    with pytest.raises(UsageError, match="quantile"):
        read_between(text)


@pytest.mark.parametrize(
    "wrong", [{"minimum": math.nan}, {"maximum": math.inf}, {"minimum": 2.0, "maximum": 1.0}]
)
def test_limits_that_are_none(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=r"m(in|ax) "):
        Criteria(**wrong)


def test_an_unknown_status_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="Did you mean padded"):
        Criteria(statuses=("paded",))
