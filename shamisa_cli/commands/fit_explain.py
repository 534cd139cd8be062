"""``shamisa fit-explain``: teach a model to explain its scores."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from shamisa_cli.commands.shared import (
    FOLDER,
    PassedBy,
    Skipped,
    command,
    device_option,
    flags_for,
    follow_links_option,
    model_option,
    seed_option,
)
from shamisa_cli.errors import UsageError

LEAST = 20
"""Photos: fewer cannot be split into those that fit, choose and measure."""


@command(name="fit-explain")
@click.argument("photos", type=FOLDER)
@model_option
@click.option("--sample", type=click.IntRange(LEAST), default=600, help="Photos drawn at random.")
@click.option("--test", type=FOLDER, help="Photos to measure on.  [default: a tenth of PHOTOS]")
@click.option(
    "--ends",
    type=click.IntRange(0),
    default=0,
    help="Read the first N ends of a joined model only.  [default: all]",
    metavar="N",
)
@click.option("--overwrite", is_flag=True, help="Replace what the model has learned before.")
@follow_links_option
@seed_option
@device_option
@click.option("--workers", type=click.IntRange(0), default=2, help="Threads that damage photos.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def fit_explain(
    photos: Path,
    model: str,
    sample: int,
    test: Path | None,
    overwrite: bool,
    follow_links: bool,
    seed: int,
    **run: Any,
) -> None:
    """Teach a model to explain its scores, by photos that the engine damages.

    PHOTOS is a folder of good photos. Each is seen as it is and by every kind of damage, as a whole
    or in part; no human score is needed. What is learned lies beside the model's weights. Bundled
    models have it. Figures are of photos that took no part. More in docs/explaining.md.

    \b
    shamisa fit-explain photos/ --model runs/mine/model
    """
    from shamisa_cli.explaining.teach import check_teachable, teach
    from shamisa_cli.imaging.paths import list_photos
    from shamisa_cli.ladders.ladder import draw
    from shamisa_cli.models.names import locate_model

    folder = locate_model(model)
    with flags_for("overwrite"):
        check_teachable(folder, overwrite=overwrite)
    passed_by = PassedBy()
    photos_in = partial(list_photos, follow_links=follow_links, pass_by=passed_by)
    drawn = draw(photos_in(photos), sample, seed)
    if len(drawn) < LEAST:
        raise UsageError(f"{photos}: {len(drawn)} photos; at least {LEAST} are needed")
    tested = draw(photos_in(test), sample, seed) if test else drawn[-(len(drawn) // 10) :]
    passed_by.tell()
    learned = [photo for photo in drawn if photo not in set(tested)]
    skipped = Skipped()
    info = teach(folder, learned, tested, seed=seed, skip=skipped, **run)
    for name, value in info.metrics.items():
        click.echo(f"{name:24}{value:6.3f}")
    skipped.tell("in the fit")
