"""The registry: docs/distortions.md's table, names, categories, entries."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from shamisa_cli.distortions.registry import (
    CATEGORIES,
    DISTORTIONS,
    ENTRIES,
    ENTRIES_OF_CATEGORY,
    get_distortion,
    get_entries,
)
from shamisa_cli.distortions.severity import native_text
from shamisa_cli.errors import UnknownNameError


def test_has_24_distortions_in_7_categories_and_26_entries() -> None:
    assert len(DISTORTIONS) == 24
    assert len(ENTRIES) == 26
    names = "blur color compression noise brightness spatial sharpness_contrast"
    assert tuple(names.split()) == CATEGORIES
    sizes = Counter(d.category for d in DISTORTIONS.values())
    assert [sizes[c] for c in CATEGORIES] == [3, 4, 2, 4, 3, 5, 3]
    assert [len(ENTRIES_OF_CATEGORY[c]) for c in CATEGORIES] == [3, 4, 2, 4, 4, 5, 4]


def test_marks_integers_and_both_signs_as_published() -> None:
    integers = (
        "lens_blur motion_blur color_diffusion color_shift color_saturation_2 jpeg2000 jpeg "
        "non_eccentricity_patch quantization color_block high_sharpen"
    )
    assert {d.name for d in DISTORTIONS.values() if d.integer} == set(integers.split())
    both = {d.name for d in DISTORTIONS.values() if d.signed}
    assert both == {"mean_shift", "linear_contrast_change"}


def test_refuses_an_unknown_name_with_near_matches() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean gaussian_blur"):
        get_distortion("gausian_blur")
    with pytest.raises(UnknownNameError, match="quantization"):
        get_entries("quantisation")


def test_entries_go_by_distortion_or_by_sign() -> None:
    assert [ENTRIES[i].sign for i in get_entries("mean_shift")] == [1, -1]
    assert [ENTRIES[i].sign for i in get_entries("mean_shift-")] == [-1]
    assert [ENTRIES[i].name for i in get_entries("jpeg")] == ["jpeg"]
    assert len({entry.name for entry in ENTRIES}) == 26


def test_labels_are_the_units_of_the_docs() -> None:
    """The label's words, "σ … px", stand in the table's column of native parameters."""
    text = (Path(__file__).parents[2] / "docs" / "distortions.md").read_text(encoding="utf-8")
    table = re.findall(r"^\|[^|]*\| `(\w+)`[^|]*\| ([^|]+) \|", text, re.MULTILINE)
    columns = dict(table[: len(DISTORTIONS)])
    assert set(columns) == set(DISTORTIONS)
    for name, distortion in DISTORTIONS.items():
        assert distortion.label.count("{}") == 1
        for word in distortion.label.replace("{}", " ").split():
            assert word in columns[name].replace(",", " ").split(), name


@pytest.mark.parametrize(
    ("entry", "severity", "text"),
    [
        ("gaussian_blur", 0.775, "σ 2.3 px"),
        ("jpeg", 0.5, "quality 24"),
        ("jpeg2000", 1.0, "ratio 170"),
        ("mean_shift-", 0.5, "offset −0.115"),
        ("mean_shift-", 0.0, "offset 0"),
        ("color_block", 1.0, "10 blocks"),
    ],
)
def test_native_values_are_written_with_their_units(entry: str, severity: float, text: str) -> None:
    (k,) = get_entries(entry)
    assert native_text(ENTRIES[k], severity) == text
