"""``shamisa backbones``: which timm backbones there are."""

from __future__ import annotations

import click

from shamisa_cli.commands.completion import complete_backbone


@click.command()
@click.argument("pattern", default="", shell_complete=complete_backbone)
def backbones(pattern: str) -> None:
    """List timm backbones whose name holds PATTERN, with their size.

    PATTERN may have wildcards: 'resnet*', '*convnext*nano*'. Without it, all are listed.
    Any of them works as --backbone.
    """
    import timm

    from shamisa_cli.encoders.backbones import describe_backbone
    from shamisa_cli.errors import UnknownNameError, near_matches

    wildcard = pattern if any(c in pattern for c in "*?[") else f"*{pattern}*"
    names = timm.list_models(wildcard)
    if not names:
        families = sorted({name.partition("_")[0] for name in timm.list_models()})
        word = pattern.strip("*?")
        near = near_matches(word, families) or near_matches(word, families, likeness=0.0)
        raise UnknownNameError(
            f"no backbone's name holds {pattern!r}. Did you mean {' or '.join(near)}? "
            "All are listed by: shamisa backbones"
        )
    click.echo(f"{'backbone':<48} {'parameters':>12} {'features':>9}")
    for name in names:
        info = describe_backbone(name)
        click.echo(f"{name:<48} {info.parameters / 1e6:>10.1f} M {info.feature_size:>9}")
