"""``shamisa probe``: how well frozen features follow human scores, and heads that keep the fit."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shamisa_cli.commands.shared import FILE, FOLDER, source_options

if TYPE_CHECKING:
    from torch import Tensor

    from shamisa_cli.probing.datasets.dataset import Dataset
    from shamisa_cli.probing.ladder import Ladders
    from shamisa_cli.probing.options import ProbeOptions
    from shamisa_cli.probing.report import ReportRow
    from shamisa_cli.probing.run import FittedHead, Probed
    from shamisa_cli.probing.source import FeatureSource


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
def probe(**options: Any) -> None:
    """Measure a frozen encoder against human scores, as the field does.

    Ridge regression on the features, its strength by validation SRCC; median over 10 splits
    70/10/20, disjoint by reference photo. See docs/probing.md.

    \b
    shamisa probe --dataset koniq --root ~/iqa
    shamisa probe --dataset mine.csv --save-head mine      then: shamisa score --head mine
    shamisa probe --dataset ladder --photos ~/photos       needs no human scores
    """
    from shamisa_cli.probing.options import ProbeOptions, check_options

    asked = ProbeOptions(**options)
    check_options(asked)
    if asked.datasets == ("ladder",):
        _probe_ladders(asked)
    else:
        _probe_datasets(asked)


def _probe_datasets(asked: ProbeOptions) -> None:
    from shamisa_cli.probing.datasets.registry import open_dataset
    from shamisa_cli.probing.options import by_name
    from shamisa_cli.probing.outputs import print_tables, write_outputs
    from shamisa_cli.probing.run import choose_splits
    from shamisa_cli.probing.together import probe_together

    fit_on = by_name(open_dataset(name, asked.root) for name in asked.datasets)
    test_on = by_name(open_dataset(name, asked.root) for name in asked.test_on)
    datasets = by_name([*fit_on.values(), *test_on.values()])
    for dataset in datasets.values():
        _mention_part(dataset)
    splits = {
        name: choose_splits(dataset, asked.splits, asked.seed, asked.split)
        for name, dataset in fit_on.items()
    }
    rows: list[ReportRow] = []
    probed: list[Probed] = []
    heads: list[FittedHead] = []

    def make_head(one: Probed, features: Tensor) -> None:
        if asked.save_head and not heads:
            heads.append(_make_head(one, features, asked))

    for source in _sources(asked):
        some = probe_together(source, datasets, splits, list(test_on), asked.fr, make_head)
        probed += some[0]
        rows += some[1]
    print_tables(rows)
    for head in heads:
        _save_head(head, asked)
    write_outputs(rows, probed, heads[0] if heads else None, asked)


def _sources(asked: ProbeOptions) -> Iterator[FeatureSource]:
    """The model, and the same backbone with random weights if that is wanted."""
    from shamisa_cli.encoders.names import locate_model
    from shamisa_cli.encoders.store import load_encoder
    from shamisa_cli.errors import UsageError
    from shamisa_cli.heads.store import check_own_folder
    from shamisa_cli.probing.source import make_source, random_encoder

    folder = locate_model(asked.model)
    if asked.save_head:
        check_own_folder(folder)
    encoder, config = load_encoder(folder)
    protocol = config.protocol
    if asked.crops:
        protocol = dataclasses.replace(protocol, crops=asked.crops)
    if asked.save_head and protocol != config.protocol:
        raise UsageError(
            f"--save-head fits a head for the model's own crops, {config.protocol.crops}; "
            "leave --crops out"
        )
    encoders = {config.name: encoder}
    if asked.random:
        encoders[f"{config.name} (random weights)"] = random_encoder(config, asked.seed)
    for name, each in encoders.items():
        yield make_source(name, each, protocol, asked)


def _make_head(probed: Probed, features: Tensor, asked: ProbeOptions) -> FittedHead:
    from shamisa_cli.probing.run import LadderOptions, make_head, make_head_with_ladders

    name = asked.save_head or ""
    if not asked.with_ladder:
        return make_head(name, probed, features)
    source = next(_sources(asked))
    ladders = _ladders(asked.with_ladder, asked, source)
    options = LadderOptions(asked.ladder_weight, asked.ladder_gap, asked.ladder_drop)
    pristine = _pristine(ladders, source) if asked.calibrate else None
    return make_head_with_ladders(name, probed, features, ladders, options, pristine)


def _pristine(ladders: Ladders, source: FeatureSource) -> Tensor:
    """Mean features of the ladders' photos as they are."""
    from shamisa_cli.probing.progress import say_skipped

    photos = list(dict.fromkeys(ladders.photos))
    return source.means(photos, say_skipped)[1]


def _save_head(made: FittedHead, asked: ProbeOptions) -> None:
    from shamisa_cli.encoders.names import locate_model
    from shamisa_cli.heads.store import save_head
    from shamisa_cli.probing.report import ladder_table

    info = made.head.info
    path = save_head(locate_model(asked.model), made.head)
    click.echo(f"\nhead {info.name} on {info.n_images} images: {path}")
    if made.ladders is not None:
        median = made.measures["srcc"].median
        click.echo(f"{info.note}: SRCC {median:.3f} over the splits, fitted this way")
        click.echo("a fifth of the ladders' photos, by a head fitted on the others:")
        click.echo(ladder_table(made.ladders), nl=False)


def _ladders(folder: Path, asked: ProbeOptions, source: FeatureSource) -> Ladders:
    """Ladders of some photos of ``folder``, by the model's features."""
    from shamisa_cli.errors import UsageError
    from shamisa_cli.imaging.folders import list_photos
    from shamisa_cli.probing.options import MIN_LADDER_PHOTOS
    from shamisa_cli.probing.progress import say_skipped
    from shamisa_cli.probing.run import draw

    def check(count: int) -> None:
        if count < MIN_LADDER_PHOTOS:
            raise UsageError(f"{folder}: {count} photos; ladders need at least {MIN_LADDER_PHOTOS}")

    photos = draw(list_photos(folder), asked.ladder_photos, asked.seed)
    check(len(photos))
    ladders = source.ladders(photos, asked.ladder_per_photo, asked.seed, unreadable=say_skipped)
    check(len(set(ladders.photos)))
    return ladders


def _probe_ladders(asked: ProbeOptions) -> None:
    from shamisa_cli.encoders.names import locate_model
    from shamisa_cli.encoders.store import load_encoder
    from shamisa_cli.heads.store import default_head, load_head
    from shamisa_cli.probing.joint import score_ladders
    from shamisa_cli.probing.outputs import write_ladder_outputs
    from shamisa_cli.probing.report import ladder_table

    folder = locate_model(asked.model)
    head = load_head(
        folder, asked.head or default_head(folder, load_encoder(folder)[1].default_head)
    )
    ladders = _ladders(asked.photos or Path(), asked, next(_sources(asked)))
    results = score_ladders(ladders, head.weight if head.info.higher_is_better else -head.weight)
    click.echo(ladder_table(results), nl=False)
    write_ladder_outputs(results, asked)


def _mention_part(dataset: Dataset) -> None:
    """Say so where only a part of a dataset is there: figures are then not the published ones'."""
    have, all_of_it = len(dataset.images), dataset.info.n_images
    if have != all_of_it:
        click.echo(f"{dataset.info.name}: {have} of its {all_of_it} images are listed", err=True)
