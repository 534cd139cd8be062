"""``shamisa join``: the last stages of models side by side."""

from __future__ import annotations

from pathlib import Path

import click

from shamisa_cli.commands.completion import complete_model
from shamisa_cli.commands.shared import FOLDER


@click.command()
@click.argument("start", shell_complete=complete_model)
@click.argument("other", shell_complete=complete_model)
@click.option("--out", type=FOLDER, required=True, help="New folder of the model.")
def join(start: str, other: str, out: Path) -> None:
    """Join two models: one first half, and the last stages of both side by side.

    OTHER is START with other last stages, as `shamisa finetune --all` makes it, or `pretrain` with
    trained = 0.3: then the one knows what a photo shows, and the other what it was trained on.
    START may be a joined model, which gets one more end. The model has no head yet.

    \b
    shamisa join lite0 runs/damage/model --out runs/both
    shamisa fit mine.csv --model runs/both --name mine
    """
    from shamisa_cli.errors import UsageError
    from shamisa_cli.models.join import join_models
    from shamisa_cli.models.names import locate_model

    if out.exists() and any(out.iterdir()):
        raise UsageError(f"{out}: is not empty; choose a new folder")
    made = join_models(locate_model(start), locate_model(other), out)
    features = f"{made.feature_size} features, the new end from block {made.ends[-1]} on"
    click.echo(f"{click.format_filename(out)}: {features}; fit a head with: shamisa fit")
