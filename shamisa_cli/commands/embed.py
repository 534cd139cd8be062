"""``shamisa embed``: a map on which pictures with similar features are near each other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shamisa_cli.commands.shared import FILE, FOLDER, source_options

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from shamisa_cli.maps.options import EmbedOptions
    from shamisa_cli.maps.points import Points
    from shamisa_cli.models.config import ModelConfig
    from shamisa_cli.models.head import Head

METHODS = {"tsne": "t-SNE", "umap": "UMAP"}


@click.command()
@click.argument("paths", nargs=-1, type=click.Path())
@click.option("--recursive/--no-recursive", default=True, help="Look into sub-folders, or not.")
@click.option("--dataset", help="Instead of PATHS: a name, a CSV with image,mos, or ladder.")
@click.option("--root", type=FOLDER, help="Folder of your datasets.  [default: $SHAMISA_DATA]")
@click.option("--photos", type=FOLDER, help="Photos for --dataset ladder.")
@click.option(
    "--sample",
    type=click.IntRange(1),
    help="So many photos at most, drawn at random.  [default: all; for ladders, 8]",
)
@click.option(
    "--color-by",
    type=click.Choice(["distortion", "severity", "mos", "score"]),
    help="[default: mos for a dataset, distortion for ladders, score for photos]",
)
@click.option(
    "--method",
    type=click.Choice(list(METHODS)),
    default="tsne",
    show_default=True,
    help="umap needs: pip install 'shamisa[umap]'",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--model", default="default", show_default=True, help="Model name or folder.")
@click.option("--head", help="Head for --color-by score.  [default: the model's]")
@click.option("--plot", type=FILE, help="Write the map as a picture.")
@click.option("--csv", type=FILE, help="Write the places on the map as CSV.")
@source_options
def embed(**options: Any) -> None:
    """Draw a map of what the encoder sees: pictures with similar features are near each other.

    PATHS are photos, folders, or quoted patterns such as '**/*.jpg'. Which are near has a
    meaning; directions and distances across the map have none.

    \b
    shamisa embed photos/ --plot map.png                              by predicted score
    shamisa embed --dataset clive --root ~/iqa --plot map.png         by human score
    shamisa embed --dataset ladder --photos photos/ --plot map.png    by distortion
    """
    from shamisa_cli.errors import PhotoError, ShamisaError, UsageError
    from shamisa_cli.evaluation.frozen_encoder import make_source
    from shamisa_cli.imaging.paths import expand_paths
    from shamisa_cli.maps.gather import gather_points
    from shamisa_cli.maps.options import EmbedOptions, check_options
    from shamisa_cli.maps.points import score_points
    from shamisa_cli.maps.projection import project
    from shamisa_cli.models.names import locate_model
    from shamisa_cli.models.store import load_encoder
    from shamisa_cli.progress import say_skipped

    asked = EmbedOptions(**options)
    check_options(asked)
    folder = locate_model(asked.model)
    encoder, config = load_encoder(folder)
    head = _head(folder, config, asked)
    photos = [Path(path) for path in expand_paths(asked.paths, recursive=asked.recursive)]
    if asked.kind == "photos" and not photos:
        raise UsageError(f"no photos in {', '.join(asked.paths)}")
    skipped: list[PhotoError] = []

    def skip(error: PhotoError) -> None:
        skipped.append(error)
        say_skipped(error)

    source = make_source(config.name, encoder, config.protocol, asked)
    points = gather_points(source, photos, asked, skip)
    if head is not None:
        points.values["score"] = score_points(points, head)
    if not asked.quiet:
        click.echo(f"{METHODS[asked.method]} of {len(points.photos)} pictures …", err=True)
    places = project(points.features, asked.method, asked.seed)
    _write(points, places, config.name, asked)
    if skipped:
        raise ShamisaError(f"{len(skipped)} photos could not be read; they are not on the map")


def _head(folder: Path, config: ModelConfig, asked: EmbedOptions) -> Head | None:
    """What colors by score, if that is wanted."""
    if asked.color != "score":
        return None
    from shamisa_cli.models.heads import choose_head

    return choose_head(folder, asked.head, config)


def _write(points: Points, places: NDArray[np.float64], model: str, asked: EmbedOptions) -> None:
    """The files that were asked for."""
    from shamisa_cli.maps.gather import write_csv
    from shamisa_cli.maps.plot import plot_map

    what = f"{len(points.photos)} pictures"
    if asked.csv:
        write_csv(asked.csv, points, places)
        click.echo(f"{asked.csv}: the places of {what}")
    if asked.plot:
        of = asked.dataset or "photos"
        if asked.kind == "ladder":
            what += f" made of {len(set(points.photos))} photos"
        title = f"{of}: {what} by the features of {model} ({METHODS[asked.method]})"
        plot_map(points, places, asked.color, title, asked.plot)
        click.echo(f"{asked.plot}: a map of {what}")
