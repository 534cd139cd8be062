"""``shamisa graphs``: which graph sources there are."""

from __future__ import annotations

from typing import Any

import click


@click.command()
def graphs() -> None:
    """List the graph sources: package, coefficient c, options and their defaults.

    Each can be named in `shamisa pretrain --graph NAME:option=value,coeff=0.2`. Packages add
    sources by the entry-point group shamisa.graph_sources; SHAMISA_NO_PLUGINS=1 leaves our own.
    """
    from shamisa_cli.commands.plugins import echo_plugins
    from shamisa_cli.graphs.registry import available_sources

    def more(source: Any) -> tuple[list[str], str]:
        needs = f" (needs {', '.join(sorted(source.needs))})" if source.needs else ""
        return [f"coeff={source.coeff}"], needs

    echo_plugins(available_sources().values(), more)
