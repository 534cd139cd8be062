"""``shamisa ablations``: named differences from the published configuration."""

from __future__ import annotations

import click


@click.command()
def ablations() -> None:
    """List the ablations of pre-training: what each changes, why, and the keys of the config.

    Each can be named in `shamisa pretrain --ablation NAME`, several of them if no two change the
    same key. C1:k=7 is C1 with another value than its own.
    """
    from shamisa_cli.pretraining.ablations import ABLATIONS, settings_text

    for name, ablation in ABLATIONS.items():
        click.echo(f"{name:<4} {ablation.what}")
        click.echo(f"{'':<4} {ablation.why}")
        click.echo(f"{'':<4} {', '.join(settings_text(ablation.changes))}")
        if ablation.parameter:
            key = ablation.parameter[-1]
            click.echo(f"{'':<4} another value: {name}:{key}={ablation.value()}")
