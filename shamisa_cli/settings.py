"""Dataclasses from plain mappings (JSON, TOML), converted by msgspec, and back; and their files."""

from __future__ import annotations

import json
import re
import sys
import typing
from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from shamisa_cli.errors import UsageError, WeightsError, unknown_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

T = TypeVar("T")


def from_mapping(cls: type[T], values: Mapping[str, Any], where: str) -> T:
    """Make ``cls`` (a dataclass; its fields may be dataclasses, or tables of them) from ``values``.

    ``where`` is what a refusal calls the source of the values, such as a file's path.

    Raises
    ------
    UsageError
        on an unknown key (with near matches), a missing one without default, a wrong type, or a
        ValueError of ``__post_init__``.
    """
    hints, made = typing.get_type_hints(cls), {}
    for key, value in values.items():
        if key not in hints:
            raise unknown_name(f"key in {where}:", key, hints)
        made[key] = _named(hints[key], value, f"{where}: {key}")
    required = (f.name for f in fields(cls) if f.default is f.default_factory is MISSING)  # type: ignore[arg-type]
    if missing := [name for name in required if name not in made]:
        raise UsageError(f"{where}: missing {', '.join(missing)}")
    try:
        return cls(**made)
    except ValueError as error:
        raise UsageError(f"{where}: {error}") from error


def _named(hint: Any, value: Any, where: str) -> Any:
    """``value`` as the type ``hint``; what is wrong in a table is told under its own key."""
    inner = typing.get_args(hint)
    if is_dataclass(hint) and isinstance(value, Mapping):
        return from_mapping(typing.cast(type, hint), value, where)
    if typing.get_origin(hint) is dict and isinstance(value, Mapping):
        value = {key: _named(inner[1], each, f"{where}.{key}") for key, each in value.items()}
    if typing.get_origin(hint) is typing.Literal:
        if value not in inner:
            raise unknown_name(f"value in {where}:", str(value), map(str, inner))
        return value
    return _converted(hint, value, where)


def _converted(hint: Any, value: Any, where: str) -> Any:
    """``value`` as the type ``hint``, or a UsageError that says what was expected."""
    try:
        return msgspec.convert(value, hint)
    except (msgspec.ValidationError, TypeError) as error:  # TypeError: a hint it does not support
        why, _, path = str(error).partition(" - at `$")
        if not path:
            why = re.sub(r"(?<=, got )`\w+`$", lambda _: repr(value), why)
        raise UsageError(
            f"{where}{path}: {why.replace('Expected', 'expected')}".replace("`", "")
        ) from error


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with the values of ``over``; tables are merged, everything else is replaced."""
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = merge(merged[key], value) if both else value
    return merged


def read_toml(path: Path) -> dict[str, Any]:
    """The mapping in a TOML file; a broken one is refused with the parser's line and column."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path}: cannot be read as TOML: {error}") from error


def read_json_object(path: Path, what: str) -> dict[str, Any]:
    """The JSON object in a model's file, which messages call ``what``; else a WeightsError."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path}: not a readable {what}: {error}") from error
    if not isinstance(values, dict):
        raise WeightsError(f"{path}: expected a JSON object")
    return values


def to_mapping(value: Any) -> Any:
    """A dataclass, or a list of them, as JSON holds it; :func:`from_mapping` takes it back."""
    return json.loads(json.dumps(value, default=asdict))
