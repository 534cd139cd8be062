"""Keepers: series stay whole, bursts keep their best, then shares, numbers and least scores."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from shamisa_cli.culling.bursts import Group
from shamisa_cli.culling.choice import Rule, choose, parse_best
from shamisa_cli.errors import UsageError

SCORES = [50.0, 80.0, 70.0, 20.0, 90.0, 10.0]
NAMES = list("abcdef")
BURST = Group("burst", (0, 1, 2))
BRACKET = Group("bracket", (3, 5))


def kept(groups: list[Group], **rule: Any) -> str:
    choices = choose(NAMES, SCORES, groups, Rule(**rule))
    return "".join(name for name, choice in zip(NAMES, choices, strict=True) if choice.keep)


@pytest.mark.parametrize(
    ("rule", "groups", "expected"),
    [
        ({"per_burst": 1}, [BURST], "bdef"),
        ({"per_burst": 2}, [BURST], "bcdef"),
        ({"per_burst": 9}, [BURST], "abcdef"),
        ({"per_burst": 1}, [BRACKET], "abcdef"),
        ({"least": 70.0}, [], "bce"),
        ({"least": 70.0}, [BURST], "bce"),
        ({"least": 70.0}, [BRACKET], "bcdef"),
        ({"best": Fraction(2)}, [], "be"),
        ({"best": Fraction(99)}, [], "abcdef"),
        ({"best": Fraction(1)}, [BRACKET], "def"),  # series stand apart
        ({"best": Fraction(50), "share": True}, [], "bce"),
        ({"best": Fraction(50), "share": True, "per_burst": 1}, [BURST], "be"),  # half of bdef
        ({"best": Fraction(1), "share": True}, [], "e"),  # rounded up
        ({"best": Fraction(4), "least": 75.0}, [], "be"),
        ({"best": Fraction(1), "least": 10.0}, [], "e"),
    ],
)
def test_who_is_kept(rule: dict[str, Any], groups: list[Group], expected: str) -> None:
    assert kept(groups, **rule) == expected


def test_a_share_is_exact() -> None:
    """0.07 · 100 is 7.000000000000001 in floats."""
    scores = [float(n) for n in range(100)]
    best, share = parse_best("7%")
    choices = choose([f"{n:02}" for n in range(100)], scores, [], Rule(best, share))
    assert sum(choice.keep for choice in choices) == 7


def test_equal_scores_are_decided_by_name_whatever_the_order() -> None:
    for names in ("ab", "ba"):
        choices = choose(list(names), [5.0, 5.0], [], Rule(Fraction(1)))
        assert [choice.keep for choice in choices] == [name == "a" for name in names]


def test_reasons() -> None:
    choices = choose(NAMES, SCORES, [BURST, BRACKET], Rule(Fraction(1), False, 60.0, 1))
    assert [(choice.reason, choice.group) for choice in choices] == [
        ("3 of 3 in its burst", 1),
        ("not among the best 1", 1),
        ("2 of 3 in its burst", 1),
        ("bracket of 2, kept whole", 2),
        ("keeper", 0),
        ("bracket of 2, kept whole", 2),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("40", (40, False)), ("30%", (30, True)), (" 2.5 % ", (2.5, True)), ("100%", (100, True))],
)
def test_shares_and_numbers(text: str, expected: tuple[float, bool]) -> None:
    assert parse_best(text) == expected


NEITHER = ["0", "0%", "-3", "101%", "2.5", "1/2", "many", "30percent", "", "%", "1e400", "4e1"]
NEITHER += ["1e1%", "1e-3%", "nan", "inf%", "1_0", "\u0663", "9" * 9999]


@pytest.mark.parametrize("text", NEITHER)
def test_what_is_neither(text: str) -> None:
    with pytest.raises(UsageError, match="a number of photos, 40, or a share, 30%"):
        parse_best(text)


def test_a_number_that_is_larger_than_any_float_keeps_all() -> None:
    best, share = parse_best("9" * 400)
    choices = choose(NAMES, SCORES, [], Rule(best, share))
    assert all(choice.keep for choice in choices)


def test_close_ups_rank_a_burst_by_the_mean_of_both() -> None:
    def places(close_ups: dict[int, float]) -> list[str]:
        rule = Rule(per_burst=1)
        return [c.reason for c in choose(NAMES[:3], SCORES[:3], [BURST], rule, close_ups)]

    assert places({0: 60.0, 1: 20.0, 2: 50.4}) == [  # 55, 50, 60.2
        "2 of 3 in its burst, close up 60",
        "3 of 3 in its burst, close up 20",
        "1 of 3 in its burst, close up 50",
    ]
    by_score = ["3 of 3 in its burst", "1 of 3 in its burst", "2 of 3 in its burst"]
    assert places({0: 99.0, 2: 60.0}) == by_score  # b could not be read
    assert places({}) == by_score
