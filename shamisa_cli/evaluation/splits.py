"""Train, validation and test parts, disjoint by reference photo (docs/method.md §6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from shamisa_cli.datasets.dataset import Dataset
from shamisa_cli.errors import UsageError

SplitKind = Literal["auto", "random", "official"]
"""``auto``: the official split where the field uses it."""

VAL, TEST = 0.1, 0.2
"""Shares of the reference photos in the validation and test parts, rounded, at least 1 each."""
MIN_PART = 3
"""Images that validation and test parts need at least: fewer have no meaningful correlation."""

ENOUGH = 26
"""So few images, each its own reference photo, have such parts."""


@dataclass(frozen=True, eq=False)
class Split:
    """Indices (int64, sorted) of the images of each part; no image is in two."""

    train: Tensor
    val: Tensor
    test: Tensor

    def select(self, kept: Sequence[int]) -> Split:
        """The same split of the images ``kept`` (rising) alone, numbered from 0."""
        at = {image: i for i, image in enumerate(kept)}
        parts = (
            torch.tensor([at[i] for i in part.tolist() if i in at], dtype=torch.int64)
            for part in (self.train, self.val, self.test)
        )
        return _checked(Split(*parts))


def choose_splits(dataset: Dataset, n_splits: int, seed: int, kind: SplitKind) -> list[Split]:
    """The official split where the field uses it, or where it is asked for; else random splits."""
    if kind == "official" and not dataset.parts:
        raise UsageError(f"{dataset.info.name}: no official split among its files")
    try:
        if kind == "official" or (kind == "auto" and dataset.info.official_split):
            return [official_split(dataset.parts, dataset.references, seed)]
        return random_splits(dataset.references, n_splits, seed)
    except UsageError as error:
        raise UsageError(f"{dataset.info.name}: {error}") from error


def random_splits(references: Sequence[str], n_splits: int = 10, seed: int = 0) -> list[Split]:
    """Draw splits by reference photo.

    Parameters
    ----------
    references : (n,), the identity of each image's reference photo; images that share one always
        fall into the same part. Where there are no references, each image is its own.
    n_splits : how many. The first k splits are the same for every ``n_splits`` ≥ k.
    seed : of a generator that is used for nothing else.
    """
    group_of = _group_numbers(references)
    n_groups = int(group_of.max()) + 1 if len(references) else 0
    n_val, n_test = (max(1, round(n_groups * share)) for share in (VAL, TEST))
    if n_groups - n_val - n_test < 1:
        raise UsageError(
            f"{len(references)} images of {n_groups} reference photos cannot be split into train, "
            "validation and test parts: at least 3 references are needed"
        )
    generator = torch.Generator().manual_seed(seed)
    splits = []
    for _ in range(n_splits):
        order = torch.randperm(n_groups, generator=generator)
        train, val, test = order.split([n_groups - n_val - n_test, n_val, n_test])
        splits.append(_checked(Split(*(_members(group_of, part) for part in (train, val, test)))))
    return splits


def official_split(parts: Sequence[str], references: Sequence[str], seed: int = 0) -> Split:
    """The split that a dataset's authors published.

    Parameters
    ----------
    parts : (n,) of ``train``, ``val``, ``test``. If none is ``val``, an eighth of the training part
        (by reference) is drawn for validation with ``seed``, as 10 of 80 percent.
    references : (n,), as for :func:`random_splits`.
    """
    _check_apart(parts, references)
    of = {part: [i for i, p in enumerate(parts) if p == part] for part in ("train", "val", "test")}
    train, val, test = (torch.tensor(of[part], dtype=torch.int64) for part in of)
    if not len(val):
        group_of = _group_numbers([references[i] for i in train.tolist()])
        n_groups = int(group_of.max()) + 1 if len(train) else 0
        order = torch.randperm(n_groups, generator=torch.Generator().manual_seed(seed))
        held, kept = order.split([(n_groups + 7) // 8, n_groups - (n_groups + 7) // 8])
        train, val = train[_members(group_of, kept)], train[_members(group_of, held)]
    return _checked(Split(train, val, test))


def _check_apart(parts: Sequence[str], references: Sequence[str]) -> None:
    part_of: dict[str, str] = {}
    for part, reference in zip(parts, references, strict=True):
        first = part_of.setdefault(reference, part)
        if first != part:
            raise UsageError(
                f"its split has images of the reference {reference} in both {first} and {part}, "
                "which would flatter every figure; keep them in one part, or use random splits"
            )


def _group_numbers(references: Sequence[str]) -> Tensor:
    """(n,) int64: references numbered in the order of their sorted names."""
    number = {name: i for i, name in enumerate(sorted(set(references)))}
    return torch.tensor([number[name] for name in references], dtype=torch.int64)


def _members(group_of: Tensor, groups: Tensor) -> Tensor:
    return torch.isin(group_of, groups).nonzero().flatten()


def _checked(split: Split) -> Split:
    for name, part in vars(split).items():
        if len(part) < MIN_PART:
            raise UsageError(
                f"the {name} part of a split has {len(part)} images, at least "
                f"{MIN_PART} are needed: the dataset is too small for 70/10/20; give "
                f"{ENOUGH} images of different photos, or a column split"
            )
    return split
