"""Finds graph sources among the installed packages, by entry points, and makes them by name."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Iterable
from dataclasses import MISSING, dataclass, field, make_dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from torch import nn

from shamisa_cli.errors import UsageError, unknown_name
from shamisa_cli.graphs.source import OPTIONAL_INPUTS, GraphSource
from shamisa_cli.settings import from_mapping

GROUP = "shamisa.graph_sources"
OURS = "shamisa"
"""The distribution whose sources stay when SHAMISA_NO_PLUGINS=1 turns third-party ones off."""


@dataclass(frozen=True)
class SourceEntry:
    """A registered graph source.

    Attributes
    ----------
    name : of its entry point.
    distribution, version : the installed package that registers it.
    source : the class, or None where it is broken.
    parameters : of its constructor, which are its options.
    error : why it cannot be used, or "".
    """

    name: str
    distribution: str
    version: str
    source: type[GraphSource] | None = None
    parameters: tuple[inspect.Parameter, ...] = ()
    error: str = ""

    @property
    def summary(self) -> str:
        """The first line of the class's docstring."""
        return (inspect.getdoc(self.source) or "").partition("\n")[0] if self.source else ""


def available_sources() -> dict[str, SourceEntry]:
    """Every registered source by name, sorted; a broken one is there with its error.

    Where several packages register one name, ours comes first, then the alphabet decides; the
    others are listed under ``name (package)`` with an error.
    """
    only_ours = os.environ.get("SHAMISA_NO_PLUGINS", "") not in ("", "0")
    points = [p for p in entry_points(group=GROUP) if not only_ours or _distribution(p) == OURS]
    points.sort(key=lambda p: (p.name, _distribution(p) != OURS, _distribution(p)))
    sources: dict[str, SourceEntry] = {}
    for point in points:
        entry = _load(point)
        if point.name in sources:
            taken = f"the name {point.name!r} is taken by {sources[point.name].distribution}"
            name = f"{point.name} ({entry.distribution})"
            entry = SourceEntry(name, entry.distribution, entry.version, error=taken)
        sources[entry.name] = entry
    return sources


def create_source(name: str, **parameters: Any) -> GraphSource:
    """Make the graph source ``name`` with these options; the others take their defaults.

    Raises
    ------
    UsageError
        on an unknown name or option (with near matches), a value of the wrong type or out of
        range, or a source whose package is broken.
    """
    entry = find_source(name)
    assert entry.source is not None
    where = f"graph source {name!r}"
    options: Any = from_mapping(_options_type(entry.parameters), parameters, where)
    try:
        # train() fails here, and not somewhere later, where a source did not call super().__init__
        return entry.source(**vars(options)).train()
    except ValueError as error:
        raise UsageError(f"{where}: {error}") from error
    except Exception as error:  # a plugin may raise anything
        raise _broken(entry, f"{type(error).__name__}: {error}") from error


def find_source(name: str) -> SourceEntry:
    """The usable source ``name``, or a UsageError that says why there is none."""
    sources = available_sources()
    if name not in sources:
        raise unknown_name("graph source", name, sources, "`shamisa graphs` lists them.")
    entry = sources[name]
    if entry.error:
        raise _broken(entry, entry.error)
    return entry


def _load(point: EntryPoint) -> SourceEntry:
    """Import a source; an exception of a third-party package becomes its error."""
    distribution = _distribution(point)
    version = point.dist.version if point.dist else ""
    try:
        _check_name(point.name)
        source = point.load()
        if not (isinstance(source, type) and issubclass(source, GraphSource)):
            raise TypeError(f"{point.value} is not a subclass of shamisa_cli's GraphSource")
        if unknown := source.needs - OPTIONAL_INPUTS:
            raise ValueError(f"it needs {unknown}; known needs are {set(OPTIONAL_INPUTS)}")
        parameters = _parameters(source)
    except Exception as error:  # a plugin may raise anything; the others must still load
        message = f"{type(error).__name__}: {error}"
        return SourceEntry(point.name, distribution, version, error=message)
    return SourceEntry(point.name, distribution, version, source, parameters)


def _check_name(name: str) -> None:
    """A name must be a key of options, ``name:key=value``, and of a ``ModuleDict``."""
    if not re.fullmatch(r"[\w-]+", name) or hasattr(nn.ModuleDict, name):
        raise ValueError(
            f"a graph source cannot be called {name!r}: use letters, digits, _ and -, and no "
            "attribute of torch.nn.ModuleDict"
        )


def _broken(entry: SourceEntry, why: str) -> UsageError:
    return UsageError(
        f"graph source {entry.name!r} (package {entry.distribution} {entry.version}) is broken: "
        f"{why}. Fix or uninstall that package, or leave the source out."
    )


def _parameters(source: type[GraphSource]) -> tuple[inspect.Parameter, ...]:
    """The named parameters of a source's constructor, with their types."""
    if source.__init__ is GraphSource.__init__:
        return ()
    parameters = tuple(inspect.signature(source, eval_str=True).parameters.values())
    for p in parameters:
        if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
            raise TypeError(f"{source.__name__}'s options must be named, not *{p.name}")
    return parameters


def _options_type(parameters: Iterable[inspect.Parameter]) -> type:
    """A dataclass of the options, so that settings.from_mapping checks their names and types."""
    fields = [
        (
            p.name,
            Any if p.annotation is p.empty else p.annotation,
            field(default=MISSING if p.default is p.empty else p.default),
        )
        for p in parameters
    ]
    return make_dataclass("Options", fields, kw_only=True)


def _distribution(point: EntryPoint) -> str:
    """The name of the package that registers an entry point."""
    return point.dist.name if point.dist else "unknown package"
