"""``shamisa pull``: fetch a model from the Hugging Face Hub."""

from __future__ import annotations

import click


@click.command()
@click.argument("name")
def pull(name: str) -> None:
    """Fetch a model from the Hugging Face Hub.

    NAME is hf://owner/name[@revision]. Every command then takes the model by that name, without
    network. Only safetensors are fetched, never pickles. Repositories of timm are for
    `pretrain --init`.

    \b
    shamisa pull hf://owner/name             then: shamisa score --model hf://owner/name
    shamisa pull hf://timm/resnet50.a1_in1k  then: shamisa pretrain --init hf://timm/…
    """
    from shamisa_cli.hub.names import require_hub_name
    from shamisa_cli.models.pull import pull_model

    on_hub = require_hub_name(name)
    pulled = pull_model(on_hub)
    click.echo(str(pulled.folder))
    use = "shamisa score PHOTOS --model"
    if pulled.is_timm:
        use = f"shamisa pretrain --photos PHOTOS --backbone {pulled.backbone} --init"
    elif not pulled.heads:
        use = "shamisa fit DATASET --name NAME --model"
    heads = f", heads: {', '.join(pulled.heads)}" if pulled.heads else ""
    click.echo(f"{pulled.backbone}{heads}. Use it: {use} {on_hub}", err=True)
