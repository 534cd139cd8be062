"""Finds plug-ins of a kind among the installed packages, by entry points, and makes them by name.

A plug-in is a class, a ``torch.nn.Module``. The named parameters of its constructor are options.
"""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, field, make_dataclass
from importlib.metadata import Distribution, EntryPoint, entry_points
from typing import Any, Generic, NamedTuple, TypeVar

from torch import nn

from shamisa_cli.errors import UsageError, unknown_name
from shamisa_cli.settings import from_mapping

OURS = "shamisa"
"""The distribution whose plug-ins stay when SHAMISA_NO_PLUGINS=1 turns third-party ones off."""

T = TypeVar("T", bound=nn.Module)


class _Package(NamedTuple):
    """An installed package."""

    name: str
    version: str


@dataclass(frozen=True)
class Kind(Generic[T]):
    """A kind of plug-in.

    Attributes
    ----------
    noun : what messages call one, such as "graph source".
    group : of the entry points.
    base : the class that a plug-in is a subclass of.
    check : raises where a class, registered under a name, breaks the rules of its kind.
    hint : where a person finds the known names.
    """

    noun: str
    group: str
    base: type[T]
    check: Callable[[str, type[T]], None]
    hint: str


@dataclass(frozen=True)
class Entry(Generic[T]):
    """A registered plug-in.

    Attributes
    ----------
    name : of its entry point.
    distribution, version : the installed package that registers it.
    plugin : the class, or None where it is broken.
    parameters : of its constructor, which are its options.
    error : why it cannot be used, or "".
    """

    name: str
    distribution: str
    version: str
    plugin: type[T] | None = None
    parameters: tuple[inspect.Parameter, ...] = ()
    error: str = ""

    @property
    def summary(self) -> str:
        """The first line of the class's docstring."""
        return (inspect.getdoc(self.plugin) or "").partition("\n")[0] if self.plugin else ""


def available(kind: Kind[T]) -> dict[str, Entry[T]]:
    """Every registered plug-in by name, sorted; a broken one is there with its error.

    Where several packages register one name, ours comes first, then the alphabet decides; the
    others are listed under ``name (package)`` with an error.
    """
    only_ours = os.environ.get("SHAMISA_NO_PLUGINS", "") not in ("", "0")
    found = entry_points(group=kind.group)
    read = {dist: _package(dist) for dist in {p.dist for p in found}}  # each is parsed
    points = [(p, read[p.dist]) for p in found if not only_ours or read[p.dist].name == OURS]
    points.sort(key=lambda each: (each[0].name, each[1].name != OURS, each[1].name))
    entries: dict[str, Entry[T]] = {}
    for point, package in points:
        entry = _load(kind, point, package)
        if point.name in entries:
            taken = f"the name {point.name!r} is taken by {entries[point.name].distribution}"
            name = f"{point.name} ({entry.distribution})"
            entry = Entry(name, entry.distribution, entry.version, error=taken)
        entries[entry.name] = entry
    return entries


def create(kind: Kind[T], name: str, options: Mapping[str, Any]) -> T:
    """Make the plug-in ``name`` with these options; the others take their defaults.

    Raises
    ------
    UsageError
        on an unknown name or option (with near matches), a value of the wrong type or out of
        range, or a plug-in whose package is broken.
    """
    entries = available(kind)
    if not entries:  # ours are missing too: an installation from before there was this kind
        raise UsageError(f"no {kind.noun} is registered by any package: install shamisa again")
    if name not in entries:
        raise unknown_name(kind.noun, name, entries, kind.hint)
    entry, where = entries[name], f"{kind.noun} {name!r}"
    if entry.plugin is None:
        raise _broken(kind, entry, entry.error)
    checked: Any = from_mapping(_options_type(entry.parameters), options, where)
    try:
        # train() fails here, and not somewhere later, where one did not call super().__init__
        return entry.plugin(**vars(checked)).train()
    except ValueError as error:
        raise UsageError(f"{where}: {error}") from error
    except Exception as error:  # a plug-in may raise anything
        raise _broken(kind, entry, f"{type(error).__name__}: {error}") from error


def _load(kind: Kind[T], point: EntryPoint, package: _Package) -> Entry[T]:
    """Import a plug-in; an exception of a third-party package becomes its error."""
    try:
        if not re.fullmatch(r"[\w-]+", point.name):  # a key of options, ``name:key=value``
            raise ValueError(
                f"{kind.noun}s cannot be called {point.name!r}: use letters, digits, _ and -"
            )
        plugin = point.load()
        if not (isinstance(plugin, type) and issubclass(plugin, kind.base)):
            base = kind.base.__name__
            raise TypeError(f"{point.value} is not a subclass of shamisa_cli's {base}")
        kind.check(point.name, plugin)
        parameters = _parameters(plugin)
    except Exception as error:  # a plug-in may raise anything; the others must still load
        message = f"{type(error).__name__}: {error}"
        return Entry(point.name, *package, error=message)
    return Entry(point.name, *package, plugin, parameters)


def _broken(kind: Kind[T], entry: Entry[T], why: str) -> UsageError:
    return UsageError(
        f"{kind.noun} {entry.name!r} (package {entry.distribution} {entry.version}) is broken: "
        f"{why}. Fix or uninstall that package, or leave the {kind.noun} out."
    )


def _parameters(plugin: type[nn.Module]) -> tuple[inspect.Parameter, ...]:
    """The named parameters of a plug-in's constructor, with their types."""
    if plugin.__init__ is nn.Module.__init__:
        return ()
    parameters = tuple(inspect.signature(plugin, eval_str=True).parameters.values())
    for p in parameters:
        if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
            raise TypeError(f"{plugin.__name__}'s options must be named, not *{p.name}")
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


def _package(dist: Distribution | None) -> _Package:
    """What registers an entry point."""
    return _Package(dist.name, dist.version) if dist else _Package("unknown package", "")
