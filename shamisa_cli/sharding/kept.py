"""The input's own columns: which are kept, what they are called in a part, and their types."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shamisa_cli.errors import unknown_name
from shamisa_cli.sharding.schema import RESERVED, kept_name

if TYPE_CHECKING:
    import pyarrow as pa

_SMALL = 4096
"""Bytes of a value up to which a column is small, and kept unless others are named."""
_MOST_INT = 1 << 63
_ELSEWHERE = ("key", "uid")
"""Columns of the input that are columns of every part."""


@dataclass(frozen=True)
class Kept:
    """The columns that are kept.

    Attributes
    ----------
    columns : what each is called in the input, and in a part.
    types : of each in a part, for people.
    schema : the same for machines: Arrow's own form, in base 64.
    """

    columns: Mapping[str, str]
    types: Mapping[str, str]
    schema: str

    def fields(self) -> list[pa.Field]:
        """The columns by their names in a part."""
        import pyarrow as pa

        return list(pa.ipc.read_schema(pa.py_buffer(base64.b64decode(self.schema))))

    def values(self, beside: Mapping[str, Any]) -> dict[str, Any]:
        """What a part holds of ``beside``, by its names there; null where it does not fit."""
        kinds = self.types
        return {new: fit(beside.get(old), kinds[new]) for old, new in self.columns.items()}


def kept_of_table(
    schema: pa.Schema, sizes: Mapping[str, float], keep: Sequence[str] | None
) -> Kept:
    """The columns that are kept of a table.

    Parameters
    ----------
    schema : of the table, without its images.
    sizes : bytes a row of its columns.
    keep : the columns asked for; None is all small ones that are no lists and no structs.

    Raises
    ------
    UnknownNameError
        if the table has no such column.
    """
    import pyarrow as pa

    def small(field: pa.Field) -> bool:
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        blob = pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
        return not (blob or pa.types.is_nested(kind)) and sizes.get(field.name, 0) <= _SMALL

    if keep is None:
        keep = [field.name for field in schema if small(field)]
    known = schema.names
    for name in keep:
        if name not in known:
            raise unknown_name("column to keep:", name, known)
    return _kept([schema.field(name) for name in keep if name not in _ELSEWHERE])


def kept_of_samples(samples: Iterable[Mapping[str, Any]], keep: Sequence[str] | None) -> Kept:
    """The fields that are kept of what is beside images; see :func:`kept_of_table`.

    Their types are what all values of ``samples`` fit in: bool, int64, double, or else string.
    """
    import pyarrow as pa

    seen: dict[str, set[type]] = {}
    large = set()
    for beside in samples:
        for name, value in beside.items():
            kinds = seen.setdefault(name, set())
            if value is not None:
                kinds.add(type(value))
            if len(_text(value)) > _SMALL:
                large.add(name)
    for name in keep or ():
        if name not in seen:
            raise unknown_name("column to keep:", name, seen)
    names = [name for name in seen if name not in large] if keep is None else keep
    fields = [pa.field(name, _type(seen[name])) for name in names if name not in _ELSEWHERE]
    return _kept(fields)


def nothing_kept() -> Kept:
    """Of inputs that have nothing beside their images."""
    return _kept([])


def fit(value: Any, kind: str) -> Any:
    """``value`` for a column of type ``kind``; null where it does not fit.

    Types of JSON are seen to here; other types come from Arrow, and are left as they are.
    """
    if value is None:
        return None
    if kind == "string":
        return _clean(_text(value))
    if kind == "bool":
        return value if isinstance(value, bool) else None
    if kind not in ("double", "int64"):
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if kind == "int64":
        is_whole = math.isfinite(value) and value == int(value)
        return int(value) if is_whole and -_MOST_INT <= value < _MOST_INT else None
    return float(value) if isinstance(value, float) or abs(value) < _MOST_INT else None


def _kept(fields: Sequence[pa.Field]) -> Kept:
    import pyarrow as pa

    columns: dict[str, str] = {}
    for field in fields:
        name = kept_name(field.name)
        while name in columns.values() or name in RESERVED:
            name += "_"
        columns[field.name] = name
    kinds = [
        field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        for field in fields
    ]
    new = pa.schema(list(zip(columns.values(), kinds, strict=True)))
    types = {field.name: str(field.type) for field in new}
    return Kept(columns, types, base64.b64encode(new.serialize()).decode())


def _type(kinds: set[type]) -> pa.DataType:
    import pyarrow as pa

    if kinds == {bool}:
        return pa.bool_()
    if kinds == {int}:
        return pa.int64()
    if kinds and kinds <= {int, float}:
        return pa.float64()
    return pa.string()


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _clean(text: str) -> str:
    """``text`` without halves of surrogate pairs, which UTF-8 does not have."""
    return text.encode("utf-8", "replace").decode()
