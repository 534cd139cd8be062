"""``shamisa objectives``: which objectives pre-training may minimize."""

from __future__ import annotations

from typing import Any

import click

REPULSION = {
    "refused": " (no source may repel)",
    "needed": " (a source must repel)",
    "optional": "",
}


@click.command()
def objectives() -> None:
    """List the objectives of pre-training: package, options and their defaults.

    Each can be named in `shamisa pretrain --objective NAME:option=value`. Packages add objectives
    by the entry-point group shamisa.objectives; SHAMISA_NO_PLUGINS=1 leaves our own.
    """
    from shamisa_cli.commands.plugins import echo_plugins
    from shamisa_cli.pretraining.objective import available_objectives

    def more(objective: Any) -> tuple[list[str], str]:
        return [], REPULSION[objective.repulsion]

    echo_plugins(available_objectives().values(), more)
