"""DataComp's subset file, read as its resharder reads it."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shamisa_cli.errors import ShamisaError
from shamisa_cli.filtering.uids import UidSorter, uids_of, write_npy

NUMBERS = st.integers(0, 2**128 - 1) | st.integers(0, 3) | st.integers(2**64 - 2, 2**64 + 2)


def sorter(numbers: list[int], batch: int, run: int) -> UidSorter:
    made = UidSorter(tempfile.TemporaryFile(), run)  # noqa: SIM115
    for start in range(0, len(numbers), batch):
        texts = [f"{number:032x}" for number in numbers[start : start + batch]]
        made.add(uids_of(pa.array(texts, pa.string())))
    return made


def times_wanted(subset: np.ndarray, uid: str) -> int:
    """How often the resharder writes a sample: by bisection, upper half first."""
    wanted = np.array([divmod(int(uid, 16), 2**64)], np.dtype("u8,u8"))[0]
    left, right = (np.searchsorted(subset, wanted, side) for side in ("left", "right"))
    return int(right - left)


@settings(deadline=None, max_examples=60)
@given(st.lists(NUMBERS, max_size=50), st.integers(1, 60), st.sampled_from([1, 2, 3, 7, 100]))
def test_the_file_is_that_of_the_published_recipe(numbers: list[int], batch: int, run: int) -> None:
    """np.save of the sorted pairs, as DataComp's README makes it; each uid once."""
    uids = [f"{number:032x}" for number in set(numbers)]
    pairs = [(int(uid[:16], 16), int(uid[16:32], 16)) for uid in uids]
    wanted = np.array(pairs, np.dtype("u8,u8"))
    wanted.sort()
    recipe, ours = io.BytesIO(), io.BytesIO()
    np.save(recipe, wanted)
    assert write_npy(ours, sorter(numbers, batch, run)) == len(uids)
    assert ours.getvalue() == recipe.getvalue()
    assert sorter(numbers, batch, run).repeats() == len(numbers) - len(uids)


def test_the_resharder_finds_each_of_them_once(tmp_path: Path) -> None:
    numbers = [int.from_bytes(np.random.default_rng(n).bytes(16), "big") for n in range(300)]
    path = tmp_path / "subset.npy"
    with path.open("w+b") as file:
        write_npy(file, sorter([*numbers[::2], numbers[0]], 17, 20))
    with path.open("rb") as file:
        assert file.read(6) == b"\x93NUMPY"
    subset = np.load(path, mmap_mode="r", allow_pickle=False)
    assert subset.dtype == np.dtype("u8,u8")
    found = [times_wanted(subset, f"{number:032x}") for number in numbers]
    assert found == [1, 0] * 150


def test_short_and_upper_case_uids_are_numbers_too() -> None:
    assert uids_of(pa.array(["ABCDEF", "0" * 31 + "7"])).tolist() == [(0, 0xABCDEF), (0, 7)]


@pytest.mark.parametrize("wrong", ["xyz", "é" * 16, "0" * 33, "-1", "0x12", " 12", "\0" * 32])
def test_what_is_no_uid_is_named(wrong: str) -> None:
    with pytest.raises(ShamisaError, match="hexadecimal") as caught:
        uids_of(pa.array(["12", wrong]))
    assert repr(wrong) in str(caught.value)


@pytest.mark.parametrize("nothing", [None, ""])
def test_a_row_without_a_uid_is_told(nothing: str | None) -> None:
    with pytest.raises(ShamisaError, match="has no uid"):
        uids_of(pa.array(["12", nothing], pa.string()))
