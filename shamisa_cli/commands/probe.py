"""``shamisa probe``: how well frozen features follow human scores, and heads that keep the fit."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from shamisa_cli.commands.shared import FILE, FOLDER, source_options

if TYPE_CHECKING:
    from torch import Tensor

    from shamisa_cli.datasets.dataset import Dataset
    from shamisa_cli.encoders.config import ViewingProtocol
    from shamisa_cli.encoders.encoder import Encoder
    from shamisa_cli.evaluation.frozen_encoder import FeatureSource
    from shamisa_cli.evaluation.options import ProbeOptions
    from shamisa_cli.evaluation.probe import FittedHead, Probed
    from shamisa_cli.evaluation.report import ReportRow
    from shamisa_cli.ladders.ladder import Ladders
    from shamisa_cli.models.config import ModelConfig


def _names(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """Names given in several options, or in one with commas between."""
    return tuple(name.strip() for value in values for name in value.split(",") if name.strip())


@click.command()
@click.option(
    "--dataset",
    "datasets",
    multiple=True,
    required=True,
    callback=_names,
    help="Name (see: shamisa datasets), a CSV with image,mos, or ladder; several with commas.",
)
@click.option("--root", type=FOLDER, help="Folder of your datasets.  [default: $SHAMISA_DATA]")
@click.option("--model", default="default", show_default=True, help="Model name or folder.")
@click.option("--random", is_flag=True, help="Also the same backbone with random weights.")
@click.option("--splits", type=click.IntRange(1), default=10, show_default=True)
@click.option(
    "--split",
    type=click.Choice(["auto", "random", "official"]),
    default="auto",
    show_default=True,
    help="auto: official where the field uses it (FLIVE, or a CSV with a column split).",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of splits and draws.")
@click.option("--test-on", multiple=True, callback=_names, help="Fit on all, test on all of these.")
@click.option(
    "--crops",
    type=click.Choice(["five", "whole"]),
    help="Five crops, or the photo as one.  [default: the model's own]",
)
@click.option("--fr", is_flag=True, help="Full reference: features |h(ref) - h(image)|.")
@click.option("--save-head", metavar="NAME", help="Fit on everything; keep it beside the model.")
@click.option("--with-ladder", type=FOLDER, help="Put severity ladders of these photos in order.")
@click.option("--ladder-photos", type=click.IntRange(5), default=100, show_default=True)
@click.option(
    "--ladder-per-photo",
    type=click.IntRange(1, 24),
    default=24,
    show_default=True,
    help="Distortions a photo, dealt out in turn.",
)
@click.option("--ladder-weight", type=click.FloatRange(0), default=20.0, show_default=True)
@click.option(
    "--ladder-gap",
    type=click.FloatRange(0),
    default=2.0,
    show_default=True,
    help="Percent of the score range.",
)
@click.option(
    "--ladder-drop",
    type=click.FloatRange(0),
    default=0.0,
    show_default=True,
    help="Percent from the mildest to the strongest level.",
)
@click.option(
    "--calibrate",
    is_flag=True,
    help="Scores: strongest ladder levels at 20, the ladders' photos as they are at 80.",
)
@click.option("--photos", type=FOLDER, help="Photos for --dataset ladder.")
@click.option("--head", help="Head for --dataset ladder.  [default: the model's]")
@click.option("--csv", type=FILE, help="Write the table as CSV.")
@click.option("--json", type=FILE, help="Write everything measured as JSON.")
@click.option("--markdown", type=FILE, help="Write the table as Markdown.")
@click.option("--plot", type=FILE, help="Picture: predicted against human scores.")
@source_options
@click.pass_context
def probe(context: click.Context, /, **options: Any) -> None:
    """Measure a frozen encoder against human scores, as the field does.

    Ridge regression on the features, its strength by validation SRCC; median over 10 splits
    70/10/20, disjoint by reference photo. See docs/probing.md.

    \b
    shamisa probe --dataset koniq --root ~/iqa
    shamisa probe --dataset mine.csv --save-head mine      then: shamisa score --head mine
    shamisa probe --dataset ladder --photos ~/photos       needs no human scores
    """
    from shamisa_cli.evaluation.options import ProbeOptions, check_ladder_options, check_options

    asked = ProbeOptions(**options)
    check_options(asked)
    check_ladder_options(asked, _given(context))
    if asked.datasets == ("ladder",):
        _probe_ladders(asked)
    else:
        _probe_datasets(asked)


def _given(context: click.Context) -> list[str]:
    """The options that stand on the command line."""
    return [
        parameter.opts[0]
        for parameter in context.command.params
        if parameter.name
        and context.get_parameter_source(parameter.name) is ParameterSource.COMMANDLINE
    ]


def _probe_datasets(asked: ProbeOptions) -> None:
    from shamisa_cli.datasets.registry import open_dataset
    from shamisa_cli.evaluation.options import by_name
    from shamisa_cli.evaluation.outputs import print_tables, write_outputs
    from shamisa_cli.evaluation.probe import choose_splits
    from shamisa_cli.evaluation.several_datasets import probe_together
    from shamisa_cli.models.store import encoder_digest

    fit_on = by_name(open_dataset(name, asked.root) for name in asked.datasets)
    test_on = by_name(open_dataset(name, asked.root) for name in asked.test_on)
    datasets = by_name([*fit_on.values(), *test_on.values()])
    for dataset in datasets.values():
        _mention_part(dataset)
    splits = {
        name: choose_splits(dataset, asked.splits, asked.seed, asked.split)
        for name, dataset in fit_on.items()
    }
    ladder_photos = _ladder_photos(asked.with_ladder, asked) if asked.with_ladder else []
    folder, encoder, config = _open_model(asked)
    digest = encoder_digest(folder, config)  # now: a training may go on while features are made
    rows: list[ReportRow] = []
    probed: list[Probed] = []
    heads: list[FittedHead] = []

    def keep_head(source: FeatureSource, one: Probed, features: Tensor) -> None:
        if asked.save_head and not heads:
            made = _make_head(source, one, features, ladder_photos, asked)
            heads.append(made.of_encoder(digest))

    for source in _sources(folder, encoder, config, asked, datasets.values()):
        take = partial(keep_head, source)
        some = probe_together(source, datasets, splits, list(test_on), asked.fr, take)
        probed += some[0]
        rows += some[1]
    print_tables(rows)
    write_outputs(rows, probed, heads[0] if heads else None, asked)
    for head in heads:
        _save_head(head, folder)


def _open_model(asked: ProbeOptions) -> tuple[Path, Encoder, ModelConfig]:
    """The model's folder and what is in it; refused where a head could not be kept."""
    from shamisa_cli.models.heads import check_own_folder
    from shamisa_cli.models.names import locate_model
    from shamisa_cli.models.store import load_encoder

    folder = locate_model(asked.model)
    if asked.save_head:
        check_own_folder(folder)
    return folder, *load_encoder(folder)


def _sources(
    folder: Path,
    encoder: Encoder,
    config: ModelConfig,
    asked: ProbeOptions,
    datasets: Iterable[Dataset],
) -> Iterator[FeatureSource]:
    """The model, and the same backbone with random weights if that is wanted.

    Refused are heads for another view of the photos than that which the model scores by.
    """
    from shamisa_cli.errors import UsageError
    from shamisa_cli.evaluation.frozen_encoder import make_source
    from shamisa_cli.models.store import random_encoder

    protocol = _protocol(config, asked)
    if asked.save_head and protocol != config.protocol:
        raise UsageError(
            f"--save-head fits a head for the model's own crops, {config.protocol.crops}; "
            "leave --crops out"
        )
    source = make_source(config.name, encoder, protocol, asked)
    for dataset in datasets if asked.save_head else ():
        seen = source.protocol_for(dataset.info.short_side)
        if seen != config.protocol:
            raise UsageError(
                f"--save-head: {dataset.info.name} is looked at by {seen}, but the model scores by "
                f"{config.protocol}; change protocol in {folder / 'config.json'} of a copy"
            )
    yield source
    if asked.random:
        name = f"{config.name} (random weights)"
        yield make_source(name, random_encoder(config, asked.seed), protocol, asked)


def _protocol(config: ModelConfig, asked: ProbeOptions) -> ViewingProtocol:
    """The model's own, or with the crops that are asked for."""
    return dataclasses.replace(config.protocol, crops=asked.crops or config.protocol.crops)


def _make_head(
    source: FeatureSource,
    probed: Probed,
    features: Tensor,
    ladder_photos: list[Path],
    asked: ProbeOptions,
) -> FittedHead:
    from shamisa_cli.evaluation.probe import LadderOptions, make_head, make_head_with_ladders

    name = asked.save_head or ""
    if not asked.with_ladder:
        return make_head(name, probed, features)
    ladders = _ladders(asked.with_ladder, ladder_photos, asked, source)
    options = LadderOptions(asked.ladder_weight, asked.ladder_gap, asked.ladder_drop)
    pristine = _pristine(ladders, source) if asked.calibrate else None
    return make_head_with_ladders(name, probed, features, ladders, options, pristine)


def _pristine(ladders: Ladders, source: FeatureSource) -> Tensor:
    """Mean features of the ladders' photos as they are."""
    from shamisa_cli.progress import say_skipped

    photos = list(dict.fromkeys(ladders.photos))
    return source.means(photos, say_skipped)[1]


def _save_head(made: FittedHead, folder: Path) -> None:
    from shamisa_cli.evaluation.report import ladder_table
    from shamisa_cli.models.heads import save_head

    info = made.head.info
    path = save_head(folder, made.head)
    click.echo(f"\nhead {info.name} on {info.n_images} images: {path}")
    if made.ladders is not None:
        median = made.measures["srcc"].median
        click.echo(f"{info.note}: SRCC {median:.3f} over the splits, fitted this way")
        click.echo("a fifth of the ladders' photos, by a head fitted on the others:")
        click.echo(ladder_table(made.ladders), nl=False)


def _ladder_photos(folder: Path, asked: ProbeOptions) -> list[Path]:
    """Photos of ``folder`` to make ladders of; refused before any work if they are too few."""
    from shamisa_cli.evaluation.options import check_ladder_photos
    from shamisa_cli.evaluation.probe import draw
    from shamisa_cli.imaging.paths import list_photos

    photos = draw(list_photos(folder), asked.ladder_photos, asked.seed)
    check_ladder_photos(folder, len(photos))
    return photos


def _ladders(
    folder: Path, photos: list[Path], asked: ProbeOptions, source: FeatureSource
) -> Ladders:
    """Ladders of those ``photos`` of ``folder`` that can be read, by the model's features."""
    from shamisa_cli.evaluation.options import check_ladder_photos
    from shamisa_cli.progress import say_skipped

    ladders = source.ladders(photos, asked.ladder_per_photo, asked.seed, unreadable=say_skipped)
    check_ladder_photos(folder, len(set(ladders.photos)))
    return ladders


def _probe_ladders(asked: ProbeOptions) -> None:
    from shamisa_cli.evaluation.frozen_encoder import make_source
    from shamisa_cli.evaluation.outputs import write_ladder_outputs
    from shamisa_cli.evaluation.report import ladder_table
    from shamisa_cli.ladders.evaluate import score_ladders
    from shamisa_cli.models.heads import choose_head

    folder = asked.photos or Path()
    photos = _ladder_photos(folder, asked)
    model, encoder, config = _open_model(asked)
    head = choose_head(model, asked.head, config)
    source = make_source(config.name, encoder, _protocol(config, asked), asked)
    ladders = _ladders(folder, photos, asked, source)
    results = score_ladders(ladders, head.weight if head.info.higher_is_better else -head.weight)
    click.echo(ladder_table(results), nl=False)
    write_ladder_outputs(results, asked)


def _mention_part(dataset: Dataset) -> None:
    """Say so where only a part of a dataset is there: figures are then not the published ones'."""
    have, all_of_it = len(dataset.images), dataset.info.n_images
    if have != all_of_it:
        click.echo(f"{dataset.info.name}: {have} of its {all_of_it} images are listed", err=True)
