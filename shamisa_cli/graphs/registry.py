"""The graph sources that installed packages register, by name."""

from __future__ import annotations

from typing import Any

from torch import nn

from shamisa_cli.graphs.source import OPTIONAL_INPUTS, GraphSource
from shamisa_cli.plugins import Entry, Kind, available, create


def _check(name: str, source: type[GraphSource]) -> None:
    """Known needs; and a name that is a key of a ``ModuleDict``."""
    if hasattr(nn.ModuleDict, name):
        raise ValueError(
            f"a graph source cannot be called {name!r}, an attribute of torch.nn.ModuleDict"
        )
    if unknown := source.needs - OPTIONAL_INPUTS:
        raise ValueError(f"it needs {unknown}; known needs are {set(OPTIONAL_INPUTS)}")


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
