"""``shamisa graphs``: which graph sources there are."""

from __future__ import annotations

import click


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
        options = [f"coeff={entry.source.coeff}", *map(str, entry.parameters)]
        click.echo(f"{entry.name:<13} {package:<24} {', '.join(options)}")
        click.echo(f"{'':<13} {entry.summary}")
