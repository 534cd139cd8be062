"""``shamisa push``: put a model on the Hugging Face Hub."""

from __future__ import annotations

from functools import partial

import click

from shamisa_cli.commands.completion import complete_model


@click.command()
@click.argument("model", shell_complete=complete_model)
@click.argument("name")
@click.option("--private", is_flag=True, help="Make the repository private, if it is new.")
@click.option("--message", "-m", default="Push a shamisa model", show_default=True)
@click.option("--create-pr", is_flag=True, help="Open a pull request.")
@click.option("--license", help="For the card.  [default: the card's own, else apache-2.0]")
def push(
    model: str, name: str, private: bool, message: str, create_pr: bool, license: str | None
) -> None:
    """Put a model on the Hugging Face Hub.

    MODEL is a folder or a model's name, NAME is hf://owner/name[@branch]. The model is loaded
    first, to check that it is whole. Config, weights, heads and the card README.md are sent; the
    card's metadata gets the heads' figures. It needs a token with write access: set HF_TOKEN, or
    run `hf auth login`.

    \b
    shamisa push runs/pretrain/model hf://me/my-model --private
    """
    from shamisa_cli.errors import UsageError
    from shamisa_cli.hub.names import require_hub_name
    from shamisa_cli.models.names import locate_model
    from shamisa_cli.models.push import push_model

    on_hub = require_hub_name(name)
    if create_pr and on_hub.revision:
        raise UsageError("--create-pr is for the main branch: leave @revision out")
    pushed = push_model(
        locate_model(model),
        on_hub,
        message=message,
        private=private,
        create_pr=create_pr,
        license=license,
        say=partial(click.echo, err=True),
    )
    click.echo(pushed.pull_request or pushed.address)
    if not pushed.pull_request:
        click.echo(f"this version: hf://{on_hub.repo}@{pushed.commit}", err=True)
