"""``shamisa datasets``: datasets of human scores, and which of them are on this machine."""

from __future__ import annotations

from pathlib import Path

import click

from shamisa_cli.commands.completion import complete_dataset
from shamisa_cli.commands.shared import root_option


@click.group(invoke_without_command=True)
@root_option
@click.pass_context
def datasets(ctx: click.Context, root: Path | None) -> None:
    """List the known datasets, and which are found under --root."""
    ctx.obj = root
    if ctx.invoked_subcommand is not None:
        return
    from shamisa_cli.datasets.registry import DATASETS, data_root, state

    where = data_root(root)
    click.echo(f"{'name':<10} {'images':>6} {'refs':>4}  {'scores':<16} here")
    for info in DATASETS.values():
        low, high = info.score_range
        direction = "best" if info.higher_is_better else "worst"
        scores = f"{low:g}-{high:g}, {high:g} {direction}"
        refs = info.n_references or ""
        click.echo(
            f"{info.name:<10} {info.n_images:>6} {refs:>4}  {scores:<16} {state(info, where)}"
        )
    if where is None:
        click.echo("Give --root, or set SHAMISA_DATA, to look for them.", err=True)
    click.echo(
        "shamisa datasets check NAME says what is missing and where to get it; "
        "shamisa datasets pull NAME fetches it from the Hub.",
        err=True,
    )


@datasets.command()
@click.argument("name", shell_complete=complete_dataset)
@root_option
@click.option("--workers", type=click.IntRange(0), default=2, show_default=True)
@click.pass_obj
def check(group_root: Path | None, name: str, root: Path | None, workers: int) -> None:
    """Check that dataset NAME is complete and that every picture can be read."""
    from shamisa_cli.datasets.registry import open_dataset, unreadable
    from shamisa_cli.errors import ShamisaError
    from shamisa_cli.progress import progress_bar

    dataset = open_dataset(name, root or group_root)
    info = dataset.info
    files = sorted({*dataset.images, *dataset.reference_photos})
    with progress_bar(len(files)) as shown:
        broken = unreadable(files, workers, shown.update)
    click.echo(f"{info.title}: {len(dataset.images)} of {info.n_images} images")
    if info.citation:
        click.echo(f"cite: {info.citation}")
    if broken:
        some = "\n".join(f"  {path}: {problem}" for path, problem in broken[:20])
        raise ShamisaError(f"{name}: {len(broken)} pictures cannot be read:\n{some}")
    if len(dataset.images) != info.n_images:
        raise ShamisaError(f"{name}: only a part is here; get the rest from {info.url}")
    click.echo("complete, every picture can be read")


@datasets.command()
@click.argument("name", shell_complete=complete_dataset)
@root_option
@click.option("--from", "repository", help="Repository of datasets on the Hub.  [default: pyiqa's]")
@click.pass_obj
def pull(group_root: Path | None, name: str, root: Path | None, repository: str | None) -> None:
    """Fetch dataset NAME from the Hugging Face Hub into --root.

    The archive is one that the authors of pyiqa publish, or one of the repository
    --from hf://datasets/owner/name.
    """
    from functools import partial

    from shamisa_cli.datasets.pull import REPOSITORY, pull_dataset
    from shamisa_cli.datasets.registry import data_root, dataset_info, state
    from shamisa_cli.errors import UsageError
    from shamisa_cli.hub.names import require_dataset_name

    info = dataset_info(name)
    where = data_root(root or group_root)
    if where is None:
        raise UsageError("give --root, or set SHAMISA_DATA, to the folder of your datasets")
    on_hub = require_dataset_name(repository or REPOSITORY)
    click.echo(f"{info.title}: terms of use at {info.url}\ncite: {info.citation}", err=True)
    pull_dataset(info, where, on_hub, partial(click.echo, err=True))
    click.echo(state(info, where))
