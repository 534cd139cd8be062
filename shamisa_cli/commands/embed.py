"""``shamisa embed``: a map on which pictures with similar features are near each other."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from shamisa_cli.commands.completion import DATASETS, complete_head, one_of
from shamisa_cli.commands.features import features_mode
from shamisa_cli.commands.shared import (
    FILE,
    FOLDER,
    PassedBy,
    Skipped,
    check_files,
    command,
    feature_options,
    follow_links_option,
    model_option,
    open_model,
    option_group,
    overwrite_option,
    recursive_option,
    root_option,
    seed_option,
)
from shamisa_cli.errors import UsageError

if TYPE_CHECKING:
    from shamisa_cli.evaluation.frozen_encoder import FrozenEncoder, Skip
    from shamisa_cli.maps.points import Points
    from shamisa_cli.maps.projection import Method
    from shamisa_cli.models.config import ModelConfig
    from shamisa_cli.models.head import Head

METHODS = {"tsne": "t-SNE", "umap": "UMAP"}

LADDER_PHOTOS = 8
"""Photos whose ladders are on the map unless --sample says otherwise: 120 pictures each."""

Kind = Literal["photos", "dataset", "ladder"]
COLORS: dict[Kind, tuple[str, ...]] = {
    "photos": ("score", "folder", "none"),
    "dataset": ("mos", "score"),
    "ladder": ("distortion", "severity", "score"),
}
"""What pictures can be colored by; the first is the default, but a score needs a head."""


@dataclasses.dataclass(frozen=True)
class Pictures:
    """Which pictures are on the map; options that do not go together are refused."""

    paths: tuple[str, ...]
    recursive: bool
    follow_links: bool
    dataset: str | None
    root: Path | None
    photos: Path | None
    sample: int | None
    seed: int

    def __post_init__(self) -> None:
        if bool(self.paths) == bool(self.dataset):
            raise UsageError(
                "which pictures? Give photos or folders, or --dataset NAME, or --dataset ladder "
                "with --photos FOLDER: one of these"
            )
        if (self.kind == "ladder") != (self.photos is not None):
            raise UsageError("--dataset ladder and --photos, whose ladders it makes, go together")

    @property
    def kind(self) -> Kind:
        """Where the pictures come from."""
        if self.dataset is None:
            return "photos"
        return "ladder" if self.dataset == "ladder" else "dataset"

    def points(self, frozen: FrozenEncoder, skip: Skip) -> Points:
        """The pictures with their features."""
        from shamisa_cli.datasets.registry import open_dataset
        from shamisa_cli.imaging.paths import expand_paths, list_photos
        from shamisa_cli.ladders.extract import extract_ladders
        from shamisa_cli.ladders.ladder import draw
        from shamisa_cli.maps.points import dataset_points, ladder_points, photo_points

        passed_by = PassedBy()
        how: Any = {"follow_links": self.follow_links, "pass_by": passed_by}
        if self.dataset is None:
            found = expand_paths(self.paths, recursive=self.recursive, **how)
            paths = [Path(path) for path in found]
            passed_by.tell()
            if not paths:
                raise UsageError(f"no photos in {', '.join(self.paths)}")
            return photo_points(frozen, paths, skip, self.sample, self.seed)
        if self.photos is None:
            dataset = open_dataset(self.dataset, self.root)
            return dataset_points(frozen, dataset, skip, self.sample, self.seed)
        drawn = draw(list_photos(self.photos, **how), self.sample or LADDER_PHOTOS, self.seed)
        passed_by.tell()
        return ladder_points(extract_ladders(frozen, drawn, skip, seed=self.seed))


picture_options = option_group(
    "pictures",
    Pictures,
    click.argument("paths", nargs=-1, type=click.Path()),
    recursive_option,
    follow_links_option,
    click.option(
        "--dataset",
        shell_complete=one_of((*DATASETS, "ladder"), "file"),
        help="Instead of PATHS: a name, a CSV with image,mos, or ladder.",
    ),
    root_option,
    click.option("--photos", type=FOLDER, help="Photos for --dataset ladder."),
    click.option(
        "--sample",
        type=click.IntRange(1),
        help="So many photos at most, drawn at random.  [default: all; for ladders, 8]",
    ),
    seed_option,
)


@command()
@features_mode
@picture_options
@click.option(
    "--color-by",
    type=click.Choice(["distortion", "severity", "mos", "score", "folder", "none"]),
    help="[default: mos for a dataset, distortion for ladders, score for photos; without a head, "
    "folder if there are several]",
)
@click.option(
    "--method",
    type=click.Choice(list(METHODS)),
    default="tsne",
    help="umap needs: pip install 'shamisa[umap]'",
)
@model_option
@click.option(
    "--head",
    shell_complete=complete_head,
    help="Head for --color-by score.  [default: the model's]",
)
@click.option(
    "--plot", type=FILE, help="Write the map as a picture; needs: pip install 'shamisa[plots]'"
)
@click.option("--csv", type=FILE, help="Write the places on the map as CSV.")
@overwrite_option
@feature_options
def embed(
    pictures: Pictures,
    color_by: str | None,
    method: Method,
    model: str,
    head: str | None,
    plot: Path | None,
    csv: Path | None,
    overwrite: bool,
    features: dict[str, Any],
) -> None:
    """Draw a map of what the encoder sees: pictures with similar features are near each other.

    PATHS are photos, folders, or quoted patterns such as '**/*.jpg'. Only nearness has a meaning:
    directions and distances across the map have none. With --out there is no map: features of any
    number of photos, in folders, tars or Parquet files, become Parquet files.

    \b
    shamisa embed photos/ --plot map.png                              by predicted score, or folder
    shamisa embed --dataset clive --root ~/iqa --plot map.png         by human score
    shamisa embed --dataset ladder --photos photos/ --plot map.png    by distortion
    shamisa embed 's3://bucket/{000..999}.tar' --out features/        features, a part a tar
    """
    from shamisa_cli.maps.plot import plot_map
    from shamisa_cli.maps.points import score_points, write_csv
    from shamisa_cli.maps.projection import project

    color = _color(pictures, color_by, head)
    _check_outputs(method, csv, plot, overwrite)
    folder, config, frozen = open_model(model, features)
    color, scorer = _scorer(color, folder, config, head, asked=bool(color_by or head))
    skipped = Skipped()
    points = pictures.points(frozen, skipped)
    if scorer is not None:
        points.values["score"] = score_points(points, scorer)
    made_of = f" made of {len(set(points.photos))} photos" if points.distortions else ""
    what = f"{len(points.photos)} pictures{made_of}"
    if not features["quiet"]:
        click.echo(f"{METHODS[method]} of {what} …", err=True)
    places = project(points.features, method, pictures.seed)
    if csv:
        write_csv(csv, points, places)
        click.echo(f"{csv}: the places of {what}")
    if plot:
        of = f"{pictures.dataset or 'photos'}: {what} by the features of {config.name}"
        plot_map(points, places, color, f"{of} ({METHODS[method]})", plot)
        click.echo(f"{plot}: a map of {what}")
    skipped.tell("on the map")


def _check_outputs(method: Method, csv: Path | None, plot: Path | None, overwrite: bool) -> None:
    """Refuse what cannot be made or written, before anything is computed."""
    from shamisa_cli.maps.projection import check_method

    if not (plot or csv):
        raise UsageError("nothing to make: give --plot FILE, --csv FILE, or both; or --out DIR")
    check_files(csv, plot=plot, overwrite=overwrite)
    check_method(method)


def _color(pictures: Pictures, color_by: str | None, head: str | None) -> str:
    """What the map is colored by: what is asked for, or what suits the pictures."""
    fitting = COLORS[pictures.kind]
    color = color_by or fitting[0]
    if color not in fitting:
        raise UsageError(
            f"--color-by {color}: {pictures.kind} can be colored by {' or '.join(fitting)}"
        )
    if head and color != "score":
        raise UsageError(f"--head is for --color-by score, not {color}")
    return color


def _scorer(
    color: str, folder: Path, config: ModelConfig, head: str | None, *, asked: bool
) -> tuple[str, Head | None]:
    """What the map is colored by, and the head if that is a score; by folder if there is none."""
    from shamisa_cli.models.heads import choose_head, list_heads

    if color != "score":
        return color, None
    if asked or list_heads(folder):
        return color, choose_head(folder, head, config)
    click.echo(f"{config.name} has no head to score by: colored by folder", err=True)
    return "folder", None
