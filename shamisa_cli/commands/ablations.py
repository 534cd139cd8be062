"""``shamisa ablations``: named differences from the published configuration."""

from __future__ import annotations

import click


@click.command()
def ablations() -> None:
    """List the ablations of pre-training: what each changes, and why one would.

    Each can be named in `shamisa pretrain --ablation NAME`, several of them if no two change the
    same key. C1:k=7 is C1 with another value than its own.
    """
    from shamisa_cli.pretraining.ablations import ABLATIONS, keys_of

    for name, ablation in ABLATIONS.items():
        given = (
            f"  [{name}:{ablation.parameter[-1]}={ablation.value()}]" if ablation.parameter else ""
        )
        click.echo(f"{name:<4} {ablation.what}{given}")
        click.echo(f"{'':<4} {ablation.why}")
        click.echo(f"{'':<4} {', '.join('.'.join(key) for key in keys_of(ablation.changes))}")
