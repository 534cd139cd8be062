"""Splits: no leak by image or reference, nothing left out, same seed same splits."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from shamisa_cli.errors import UsageError
from shamisa_cli.evaluation.splits import ENOUGH, Split, official_split, random_splits


def _parts(split: Split) -> list[list[int]]:
    return [getattr(split, name).tolist() for name in ("train", "val", "test")]


def _assert_no_leak(split: Split, references: list[str]) -> None:
    """Every image in exactly one part, every reference in exactly one part, no padding index."""
    parts = _parts(split)
    assert sorted(i for part in parts for i in part) == list(range(len(references)))
    used = [reference for part in parts for reference in {references[i] for i in part}]
    assert len(used) == len(set(used))


@given(
    n_references=st.integers(10, 40),
    copies=st.integers(3, 6),
    seed=st.integers(0, 2**31),
    random=st.randoms(use_true_random=False),
)
def test_no_image_or_reference_in_two_parts(
    n_references: int, copies: int, seed: int, random: object
) -> None:
    references = [f"I{i % n_references:02}" for i in range(n_references * copies)]
    random.shuffle(references)  # type: ignore[attr-defined]
    splits = random_splits(references, n_splits=3, seed=seed)
    assert len(splits) == 3
    for split in splits:
        _assert_no_leak(split, references)
        val, test = (len({references[i] for i in part}) for part in _parts(split)[1:])
        assert val == max(1, round(0.1 * n_references))
        assert test == max(1, round(0.2 * n_references))


def test_same_seed_same_splits_whatever_their_number_and_the_global_generator() -> None:
    names = [str(i) for i in range(50)]
    torch.manual_seed(1)
    first = [_parts(s) for s in random_splits(names, n_splits=2, seed=5)]
    torch.manual_seed(2)
    state = torch.get_rng_state()
    more = [_parts(s) for s in random_splits(names, n_splits=6, seed=5)]
    assert more[:2] == first
    assert len({str(parts) for parts in more}) == 6
    assert [_parts(s) for s in random_splits(names, n_splits=2, seed=6)] != first
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("references", [[], ["a", "b"], ["a"] * 9 + ["b"], list("abcde")])
def test_too_few_images_or_references(references: list[str]) -> None:
    with pytest.raises(UsageError, match="needed"):
        random_splits(references)


def test_official_parts_are_kept() -> None:
    parts = ["test", "train", "val", "train"] * 5
    split = official_split(parts, [str(i) for i in range(20)])
    assert _parts(split) == [
        [i for i, part in enumerate(parts) if part == wanted] for wanted in ("train", "val", "test")
    ]


def test_an_official_split_that_parts_a_reference_is_refused() -> None:
    parts = ["train"] * 10 + ["val"] * 5 + ["test"] * 5
    references = [str(i) for i in range(19)] + ["3"]
    with pytest.raises(UsageError, match=r"reference 3 in both train and test.*random splits"):
        official_split(parts, references)


def test_official_split_without_validation_draws_it_from_training_by_reference() -> None:
    references = [f"r{i // 3}" for i in range(90)]
    parts = ["test" if i >= 60 else "train" for i in range(90)]
    split = official_split(parts, references, seed=3)
    _assert_no_leak(split, references)
    assert _parts(split)[2] == list(range(60, 90))
    assert len(split.val) == 9
    with pytest.raises(UsageError, match="test part"):
        official_split(["train"] * 90, references)


def test_images_that_are_left_out_move_no_other_to_another_part() -> None:
    references = [f"r{i // 3}" for i in range(90)]
    split = random_splits(references, n_splits=1)[0]
    kept = [i for i in range(90) if i % 7]
    for before, after in zip(_parts(split), _parts(split.select(kept)), strict=True):
        assert [kept[i] for i in after] == [i for i in before if i % 7]
    with pytest.raises(UsageError, match="test part of a split has 2 images"):
        split.select(sorted({*range(90)} - {*split.test[2:].tolist()}))


def test_how_many_images_are_enough_is_told() -> None:
    names = [str(i) for i in range(ENOUGH)]
    for seed in range(20):
        random_splits(names, 1, seed)
    with pytest.raises(UsageError, match=f"too small for 70/10/20; give {ENOUGH} images"):
        random_splits(names[1:], 1)
