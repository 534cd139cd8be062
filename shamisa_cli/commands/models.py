"""``shamisa models``: which models there are on this machine."""

from __future__ import annotations

from pathlib import Path

import click

RUNS = Path("runs")
"""Where `shamisa pretrain` writes unless told otherwise."""


@click.command()
@click.argument("folders", nargs=-1, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print everything known as JSON.")
def models(folders: tuple[Path, ...], as_json: bool) -> None:
    """List the models on this machine.

    These are the bundled ones, those pulled from the Hub, and those in FOLDERS (default: runs, if
    it is there). The name of each is what --model takes. Heads that you fitted for a bundled model
    are in a folder of yours, which is shown. No network is used.
    """
    import json

    from shamisa_cli.models.listing import list_models
    from shamisa_cli.settings import to_mapping

    rows = list_models(folders or ([RUNS] if RUNS.is_dir() else []))
    if as_json:
        click.echo(json.dumps(to_mapping(rows), indent=2))
        return
    width = max((len(row.name) for row in rows), default=0)
    for row in rows:
        note = f"  ({row.note})" if row.note else ""
        size = f"{row.size / 1e6:>8.1f} MB"
        click.echo(f"{row.where:<8} {row.name:<{width}} {size}  {row.backbone}{note}")
        for head in row.heads:
            name = head.name + (" (default)" if head.name == row.default_head else "")
            name += " (yours)" if head.name in row.user_heads else ""
            figures = ", ".join(f"{key} {value:.3f}" for key, value in head.metrics.items())
            facts = f"{head.dataset}, {head.n_images} images; {figures or 'no figures'}"
            click.echo(f"{'':<8}   head {name}: {facts}")
        if row.user_folder:
            click.echo(f"{'':<8}   your heads are in {row.user_folder}")
