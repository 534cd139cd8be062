"""How commands list plug-ins, and how an option names one with its options."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import click

from shamisa_cli.errors import UsageError

if TYPE_CHECKING:
    from shamisa_cli.plugins import Entry


def echo_plugins(
    entries: Iterable[Entry[Any]], more: Callable[[Any], tuple[list[str], str]]
) -> None:
    """Print each plug-in: its package and options with their defaults, and what it is.

    ``more`` gives of a plug-in's class what else stands before the options, and after the summary.
    """
    for entry in entries:
        package = f"{entry.distribution} {entry.version}"
        if entry.plugin is None:
            click.echo(f"{entry.name:<13} {package:<24} BROKEN: {entry.error}")
            continue
        options, remark = more(entry.plugin)
        for p in entry.parameters:
            options.append(f"{p.name}={'(required)' if p.default is p.empty else p.default}")
        click.echo(f"{entry.name:<13} {package:<24} {', '.join(options)}")
        click.echo(f"{'':<13} {entry.summary}{remark}")


def parse_plugin_option(flag: str, text: str) -> tuple[str, dict[str, Any]]:
    """Split the ``name:key=value,…`` that ``flag`` was given into the name and its options.

    Values are read as Python literals (31, 0.2, True, None); other text stays text. Names and types
    are checked when the plug-in is made.

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
            raise UsageError(f"{flag} {text}: expected name:key=value,…, got {part!r}")
        if key in options:
            raise UsageError(f"{flag} {text}: {key} is given twice")
        options[key] = _literal(value)
    if not name.strip():
        raise UsageError(f"{flag} {text}: expected a name first")
    return name.strip(), options


def _literal(value: str) -> Any:
    """``value`` as a number, bool or None where it reads as one."""
    if value.lower() in ("true", "false"):
        return value.lower() == "true"
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return value
