"""Dataclasses from mappings: round trips, and refusals that name the key."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from torch import Tensor

from shamisa_cli.errors import UsageError
from shamisa_cli.settings import from_mapping, to_mapping


@dataclass(frozen=True)
class Inner:
    size: int = 3
    scales: tuple[float, ...] = (1.0, 0.5)
    pair: tuple[int, str] = (1, "a")

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError("size must be at least 1")


@dataclass(frozen=True)
class Outer:
    name: str
    kind: Literal["soft", "hard"] = "soft"
    limit: int | None = None
    inner: Inner = field(default_factory=Inner)
    tables: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.name == "":
            raise ValueError("name must not be empty")


def test_round_trip() -> None:
    outer = Outer("x", "hard", 7, Inner(5, (1.0,), (2, "b")), {"knn": {"k": 31}})
    mapping = to_mapping(outer)
    assert mapping["inner"] == {"size": 5, "scales": [1.0], "pair": [2, "b"]}
    assert from_mapping(Outer, mapping, "x.json") == outer


def test_missing_keys_take_their_defaults() -> None:
    made = from_mapping(Outer, {"name": "x"}, "x.json")
    assert made == Outer("x")
    assert vars(made) == vars(Outer("x"))


def test_whole_numbers_are_floats_where_floats_are_asked_for() -> None:
    scales = from_mapping(Inner, {"scales": [1, 2]}, "x").scales
    assert scales == (1.0, 2.0)
    assert all(isinstance(scale, float) for scale in scales)


def test_a_hint_that_cannot_be_converted_hurts_only_where_it_is_used() -> None:
    @dataclass
    class Foreign:
        rate: Literal[0.5, 1.0] = 0.5  # type: ignore[valid-type]
        weights: Tensor | float = 1.0

    hints = {"Tensor": Tensor, "Literal": Literal}
    Foreign.__annotations__ = {k: eval(v, hints) for k, v in Foreign.__annotations__.items()}
    assert from_mapping(Foreign, {"rate": 1.0}, "x") == Foreign(1.0)
    with pytest.raises(UsageError, match="x: rate"):
        from_mapping(Foreign, {"rate": 2.0}, "x")


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"nmae": "x"}, "x.toml: 'nmae'. Did you mean name"),
        ({}, "x.toml: missing name"),
        ({"name": 3}, "x.toml: name: expected str, got 3"),
        ({"name": "x", "kind": "sfot"}, "Did you mean soft"),
        ({"name": "x", "limit": "many"}, "limit: expected int | null, got 'many'"),
        ({"name": "x", "limit": True}, "limit: expected int | null, got True"),
        ({"name": "x", "inner": 3}, "x.toml: inner: expected object, got 3"),
        ({"name": "x", "inner": {"sise": 3}}, "x.toml: inner: 'sise'. Did you mean size"),
        ({"name": "x", "inner": {"pair": [1]}}, "pair: expected array of length 2, got 1"),
        ({"name": "x", "inner": {"scales": "1"}}, "scales: expected array, got '1'"),
        ({"name": "x", "tables": {"knn": 3}}, "tables.knn: expected object, got 3"),
        (
            {"name": "x", "inner": {"scales": [1, "2"]}},
            "inner: scales[1]: expected float, got str",
        ),
        ({"name": ""}, "x.toml: name must not be empty"),
        ({"name": "x", "inner": {"size": 0}}, "x.toml: inner: size must be at least 1"),
    ],
)
def test_refusals_say_where_and_what(mapping: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as error:
        from_mapping(Outer, mapping, "x.toml")
    assert message in str(error.value)
