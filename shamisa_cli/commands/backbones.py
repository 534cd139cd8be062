"""``shamisa backbones``: which timm backbones there are."""

from __future__ import annotations

import click


@click.command()
@click.argument("pattern", default="")
def backbones(pattern: str) -> None:
    """List timm backbones whose name holds PATTERN, with their size.

    PATTERN may have wildcards: 'resnet*', '*convnext*nano*'. Without it, all are listed.
    Any of them works as --backbone.
    """
    import timm

    from shamisa_cli.encoders.backbones import describe_backbone
    from shamisa_cli.errors import unknown_name

    wildcard = pattern if any(c in pattern for c in "*?[") else f"*{pattern}*"
    names = timm.list_models(wildcard)
    if not names:
        raise unknown_name("backbone", pattern, timm.list_models())
    click.echo(f"{'backbone':<48} {'parameters':>12} {'features':>9}")
    for name in names:
        info = describe_backbone(name)
        click.echo(f"{name:<48} {info.parameters / 1e6:>10.1f} M {info.feature_size:>9}")
