"""Dataclasses from plain mappings (JSON, TOML); unknown keys and wrong types are refused."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from shamisa_cli.errors import UsageError, WeightsError, unknown_name

T = TypeVar("T")


def from_mapping(cls: type[T], values: Mapping[str, Any], where: str) -> T:
    """Make ``cls`` (a dataclass) from ``values``; nested dataclasses and tuples are built too.

    Parameters
    ----------
    cls : dataclass type
    values : mapping from field name to value; fields that are missing take their default.
    where : what the message calls the source of the values, such as a file's path.

    Raises
    ------
    UsageError
        on an unknown key (with near matches), a missing one without default, or a wrong type.
    """
    fields = {f.name: f for f in dataclasses.fields(cls) if f.init}  # type: ignore[arg-type]
    hints = typing.get_type_hints(cls)
    made: dict[str, Any] = {}
    for key, value in values.items():
        if key not in fields:
            raise unknown_name(f"key in {where}:", key, fields)
        made[key] = _convert(hints[key], value, f"{where}: {key}")
    missing = [
        f.name
        for f in fields.values()
        if f.name not in made
        and f.default is dataclasses.MISSING
        and f.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise UsageError(f"{where}: missing {', '.join(missing)}")
    try:
        return cls(**made)
    except ValueError as error:
        raise UsageError(f"{where}: {error}") from error


def read_json_object(path: Path, what: str) -> dict[str, Any]:
    """The JSON object in a file of a model.

    Parameters
    ----------
    path : UTF-8.
    what : what the message calls it, such as ``head``.

    Raises
    ------
    WeightsError
        if there is none.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path}: not a readable {what}: {error}") from error
    if not isinstance(values, dict):
        raise WeightsError(f"{path}: expected a JSON object")
    return values


def to_mapping(value: Any) -> Any:
    """The plain mapping that :func:`from_mapping` turns back into the same dataclass."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_mapping(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: to_mapping(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_mapping(v) for v in value]
    return value


def _convert(hint: Any, value: Any, where: str) -> Any:
    """``value`` as the type ``hint`` asks, or a UsageError that says what was expected."""
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return _convert_union(hint, value, where)
    if origin is typing.Literal:
        choices = typing.get_args(hint)
        if value not in choices:
            raise unknown_name(f"value in {where}:", str(value), [str(c) for c in choices])
        return value
    if dataclasses.is_dataclass(hint) and isinstance(value, Mapping):
        return from_mapping(typing.cast(type, hint), value, where)
    if origin is tuple and isinstance(value, (list, tuple)):
        args = typing.get_args(hint)
        variadic = len(args) == 2 and args[1] is Ellipsis
        if not variadic and len(args) != len(value):
            raise UsageError(f"{where}: expected {len(args)} values, got {len(value)}")
        each = [args[0]] * len(value) if variadic else list(args)
        return tuple(_convert(h, v, where) for h, v in zip(each, value, strict=True))
    if origin is dict and isinstance(value, Mapping):
        value_hint = typing.get_args(hint)[1]
        return {str(k): _convert(value_hint, v, f"{where}.{k}") for k, v in value.items()}
    if hint is Any:
        return value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    expected = origin or hint
    if isinstance(value, expected) and not (expected is int and isinstance(value, bool)):
        return value
    name = getattr(expected, "__name__", str(expected))
    raise UsageError(f"{where}: expected {name}, got {value!r}")


def _convert_union(hint: Any, value: Any, where: str) -> Any:
    """The first member of the union that ``value`` fits."""
    members = typing.get_args(hint)
    if value is None and type(None) in members:
        return None
    errors = []
    for member in members:
        if member is type(None):
            continue
        try:
            return _convert(member, value, where)
        except UsageError as error:
            errors.append(str(error))
    raise UsageError(" or ".join(errors))
