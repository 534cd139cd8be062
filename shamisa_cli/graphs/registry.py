"""The graph sources that installed packages register, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from shamisa_cli.errors import UsageError
from shamisa_cli.graphs.source import OPTIONAL_INPUTS, GraphSource
from shamisa_cli.plugins import Entry, Kind, available, create


def _check(name: str, source: type[GraphSource]) -> None:
    """Known needs; and a name that is a key of a ``ModuleDict``."""
    if hasattr(nn.ModuleDict, name):
        raise ValueError(
            f"a graph source cannot be called {name!r}, an attribute of torch.nn.ModuleDict"
        )
    if unknown := source.needs - OPTIONAL_INPUTS:
        known = ", ".join(sorted(OPTIONAL_INPUTS))
        raise ValueError(f"it needs {', '.join(sorted(unknown))}; known needs are {known}")


SOURCES = Kind(
    "graph source",
    "shamisa.graph_sources",
    GraphSource,
    _check,
    "`shamisa graphs` lists them.",
)


def available_sources() -> dict[str, Entry[GraphSource]]:
    """Every registered source by name, see :func:`shamisa_cli.plugins.available`."""
    return available(SOURCES)


def create_source(name: str, **options: Any) -> GraphSource:
    """Make the graph source ``name``, see :func:`shamisa_cli.plugins.create`."""
    return create(SOURCES, name, options)


def create_sources(
    sources: Mapping[str, Mapping[str, Any]],
) -> dict[str, tuple[GraphSource, float]]:
    """Make the graph sources of a config, each with its coefficient.

    ``sources`` has by name the options of each, among them ``coeff`` where it is not the source's
    own.
    """
    made = {}
    for name, options in sources.items():
        source = create_source(name, **{k: value for k, value in options.items() if k != "coeff"})
        coeff = options.get("coeff", source.coeff)
        if isinstance(coeff, bool) or not isinstance(coeff, (int, float)):
            raise UsageError(f"graph source {name!r}: coeff: expected float, got {coeff!r}")
        made[name] = (source, float(coeff))
    return made
