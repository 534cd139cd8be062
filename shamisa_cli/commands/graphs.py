"""``shamisa graphs``: which graph sources there are; and how an option names one."""

from __future__ import annotations

import ast
from typing import Any

import click

from shamisa_cli.errors import UsageError


@click.command()
def graphs() -> None:
    """List the graph sources: package, coefficient c, options and their defaults.

    Each can be named in `shamisa pretrain --graph NAME:option=value,coeff=0.2`. Packages add
    sources by the entry-point group shamisa.graph_sources; SHAMISA_NO_PLUGINS=1 leaves our own.
    """
    from shamisa_cli.graphs.registry import available_sources

    entries = available_sources().values()
    for entry in entries:
        package = f"{entry.distribution} {entry.version}"
        if entry.source is None:
            click.echo(f"{entry.name:<13} {package:<24} BROKEN: {entry.error}")
            continue
        options = [f"coeff={entry.source.coeff}"]
        for p in entry.parameters:
            options.append(f"{p.name}={'(required)' if p.default is p.empty else p.default}")
        click.echo(f"{entry.name:<13} {package:<24} {', '.join(options)}")
        needs = f" (needs {', '.join(sorted(entry.source.needs))})" if entry.source.needs else ""
        click.echo(f"{'':<13} {entry.summary}{needs}")


def parse_source_option(text: str) -> tuple[str, dict[str, Any]]:
    """Split ``--graph``'s ``name:key=value,…`` into the name and its options.

    ``coeff`` is one of the options. Values are read as Python literals (31, 0.2, True, None); other
    text stays text. Names and types are checked when the source is made.

    Raises
    ------
    UsageError
        where the text has another form.
    """
    name, colon, rest = text.partition(":")
    options: dict[str, Any] = {}
    for part in rest.split(",") if colon else ():
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not (key and equals and value):
            raise UsageError(f"--graph {text}: expected name:key=value,…, got {part!r}")
        if key in options:
            raise UsageError(f"--graph {text}: {key} is given twice")
        options[key] = _literal(value)
    if not name.strip():
        raise UsageError(f"--graph {text}: expected the name of a graph source first")
    return name.strip(), options


def _literal(value: str) -> Any:
    """``value`` as a number, bool or None where it reads as one."""
    if value.lower() in ("true", "false"):
        return value.lower() == "true"
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return value
