"""``shamisa embed``: a map on which pictures with similar features are near each other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shamisa_cli.commands.completion import complete_head, complete_model
from shamisa_cli.commands.features import features_mode
from shamisa_cli.commands.pictures import Pictures, picture_options
from shamisa_cli.commands.shared import (
    FILE,
    Skipped,
    check_files,
    command,
    feature_options,
    model_option,
    open_model,
    option_group,
    overwrite_option,
)
from shamisa_cli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shamisa_cli.evaluation.frozen_encoder import FrozenEncoder, Skip
    from shamisa_cli.maps.projection import Method
    from shamisa_cli.maps.report import FeatureMap
    from shamisa_cli.models.config import ModelConfig
    from shamisa_cli.models.head import Head

METHODS = {"tsne": "t-SNE", "umap": "UMAP", "pca": "PCA"}


@dataclass(frozen=True)
class Model:
    """A model whose features are mapped."""

    folder: Path
    config: ModelConfig
    frozen: FrozenEncoder
    head: Head | None = None


output_options = option_group(
    "files",
    dict,
    click.option(
        "--plot", type=FILE, help="Write the map as a picture; needs: pip install 'shamisa[plots]'"
    ),
    click.option("--csv", type=FILE, help="Write the places on the map as CSV."),
    click.option("--json", type=FILE, help="Write everything measured as JSON."),
    click.option("--markdown", type=FILE, help="Write the table as Markdown."),
)


@command()
@features_mode
@picture_options
@click.option(
    "--color-by",
    type=click.Choice(["distortion", "severity", "mos", "dataset", "score", "folder", "none"]),
    help="[default: mos for a dataset, dataset for several, distortion for ladders, score for "
    "photos; without a head, folder if there are several]",
)
@click.option(
    "--method",
    type=click.Choice(list(METHODS)),
    default="tsne",
    help="umap needs: pip install 'shamisa[umap]'",
)
@model_option
@click.option(
    "--beside",
    multiple=True,
    shell_complete=complete_model,
    help="Another model, side by side; may be given several times.",
)
@click.option("--random", is_flag=True, help="Also the same backbones with random weights.")
@click.option(
    "--head",
    shell_complete=complete_head,
    help="Head for --color-by score.  [default: the model's]",
)
@output_options
@overwrite_option
@feature_options
def embed(
    pictures: Pictures,
    color_by: str | None,
    method: Method,
    model: str,
    beside: tuple[str, ...],
    random: bool,
    head: str | None,
    files: dict[str, Path | None],
    overwrite: bool,
    features: dict[str, Any],
) -> None:
    """Draw a map of what the encoder sees: pictures with similar features are near each other.

    PATHS are photos, folders, or quoted patterns such as '**/*.jpg'. Only nearness has a meaning:
    directions and distances across the map have none, but for PCA. For ladders and several
    datasets, a table says how well they are told apart. With --out there is no map: features of
    any number of photos, in folders, tars or Parquet files, become Parquet files.

    \b
    shamisa embed photos/ --plot map.png                              by predicted score, or folder
    shamisa embed --dataset clive --root ~/iqa --plot map.png         by human score
    shamisa embed --dataset ladder --photos photos/ --plot map.png    by distortion
    shamisa embed 's3://bucket/{000..999}.tar' --out features/        features, a part a tar
    """
    color = pictures.color(color_by, head)
    _check_outputs(pictures, method, files, overwrite)
    models = [Model(*open_model(name, features)) for name in (model, *beside)]
    color, models = _with_heads(color, models, head, asked=bool(color_by or head))
    skipped = Skipped()
    maps: list[FeatureMap] = []
    controls: list[FeatureMap] = []
    for each in models:
        maps.append(_map(each, each.frozen, pictures, method, skipped, features["quiet"]))
        if random:
            control = _control(each, pictures.seed, features)
            made = _map(each, control, pictures, method, skipped, features["quiet"])
            made.points.values.update(maps[-1].points.values)  # the scores of the same pictures
            controls.append(made)
    _write([*maps, *controls], pictures, method, color, files)
    skipped.tell("on the map")


def _check_outputs(
    pictures: Pictures, method: Method, files: dict[str, Path | None], overwrite: bool
) -> None:
    """Refuse what cannot be made or written, before anything is computed."""
    from shamisa_cli.maps.projection import check_method

    tables = {name: path for name, path in files.items() if name != "plot"}
    check_files(*tables.values(), plot=files["plot"], overwrite=overwrite)
    check_method(method)
    if pictures.kind in ("photos", "dataset"):
        for flag in ("json", "markdown"):
            if files[flag]:
                raise UsageError(
                    f"--{flag} is for what is measured, which needs ladders or several datasets"
                )
        if not any(files.values()):
            raise UsageError("nothing to make: give --plot FILE or --csv FILE, or --out DIR")


def _with_heads(
    color: str, models: list[Model], head: str | None, *, asked: bool
) -> tuple[str, list[Model]]:
    """What the map is colored by, and the models with heads if by score; by folder without one."""
    from shamisa_cli.models.heads import choose_head, list_heads

    if color != "score":
        return color, models
    for each in models:
        if not (asked or list_heads(each.folder)):
            name = each.config.name
            click.echo(f"{name} has no head to score by: colored by folder", err=True)
            return "folder", models
    return color, [
        Model(each.folder, each.config, each.frozen, choose_head(each.folder, head, each.config))
        for each in models
    ]


def _control(model: Model, seed: int, features: dict[str, Any]) -> FrozenEncoder:
    """The same backbone with random weights."""
    from shamisa_cli.evaluation.frozen_encoder import FrozenEncoder
    from shamisa_cli.models.store import random_encoder

    name = f"{model.config.name} (random weights)"
    encoder = random_encoder(model.config, seed)
    return FrozenEncoder(name, encoder, model.frozen.protocol, **features)


def _map(
    model: Model,
    frozen: FrozenEncoder,
    pictures: Pictures,
    method: Method,
    skip: Skip,
    quiet: bool,
) -> FeatureMap:
    """The pictures as ``frozen`` sees them, mapped and measured; scored by a model's head."""
    from shamisa_cli.maps.measures import measure_map
    from shamisa_cli.maps.points import score_points
    from shamisa_cli.maps.projection import project
    from shamisa_cli.maps.report import FeatureMap

    points = pictures.points(frozen, skip)
    if model.head is not None and frozen is model.frozen:
        points.values["score"] = score_points(points, model.head)
    if not quiet:
        click.echo(f"{METHODS[method]} of {points.what} by {frozen.name} …", err=True)
    places = project(points.features, method, pictures.seed)
    measures = measure_map(points, places, pictures.seed)
    return FeatureMap(frozen.name, points, places, tuple(measures))


def _write(
    maps: Sequence[FeatureMap],
    pictures: Pictures,
    method: Method,
    color: str,
    files: dict[str, Path | None],
) -> None:
    """Print the table, and write the files that are asked for."""
    from shamisa_cli.evaluation.report import json_text, markdown_table, text_table
    from shamisa_cli.files import write_text
    from shamisa_cli.maps.plot import plot_maps
    from shamisa_cli.maps.points import write_csv
    from shamisa_cli.maps.report import map_facts, measure_cells

    what = maps[0].points.what
    cells = measure_cells(maps)
    if cells:
        click.echo(text_table(cells), nl=False)
    if files["json"]:
        facts = map_facts(METHODS[method], pictures.name, pictures.seed, maps)
        write_text(files["json"], json_text(facts))
    if files["markdown"]:
        write_text(files["markdown"], markdown_table(cells))
    if files["csv"]:
        write_csv(files["csv"], [(each.name, each.points, each.places) for each in maps])
        click.echo(f"{files['csv']}: the places of {what}")
    if files["plot"]:
        title = f"{pictures.name}: {what} by the features of {maps[0].name} ({METHODS[method]})"
        if len(maps) > 1:
            title = f"{pictures.name}: {what} ({METHODS[method]})"
        plot_maps(maps, color, title, files["plot"])
        click.echo(f"{files['plot']}: a map of {what}")
