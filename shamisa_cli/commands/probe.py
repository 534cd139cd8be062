"""``shamisa probe``: how well frozen features follow human scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shamisa_cli.commands.completion import complete_datasets
from shamisa_cli.commands.shared import (
    FILE,
    Crops,
    Skipped,
    allow_seen_option,
    check_files,
    command,
    crops_option,
    feature_options,
    mention_part,
    mention_seen,
    model_option,
    names_given,
    open_model,
    overwrite_option,
    root_option,
    split_options,
    table_options,
    write_files,
)

if TYPE_CHECKING:
    from shamisa_cli.evaluation.datasets import DatasetResult
    from shamisa_cli.evaluation.frozen_encoder import FrozenEncoder
    from shamisa_cli.evaluation.report import ReportRow
    from shamisa_cli.models.config import ModelConfig


@command()
@click.option(
    "--dataset",
    "datasets",
    multiple=True,
    required=True,
    callback=names_given,
    shell_complete=complete_datasets,
    help="Name (see: shamisa datasets), or a CSV with image,mos; several with commas.",
)
@root_option
@model_option
@click.option("--random", is_flag=True, help="Also the same backbone with random weights.")
@split_options
@click.option(
    "--test-on",
    multiple=True,
    callback=names_given,
    shell_complete=complete_datasets,
    help="Also fit on all, test on all of these.",
)
@crops_option
@click.option("--fr", is_flag=True, help="Full reference: features |h(ref) - h(image)|.")
@table_options
@click.option(
    "--plot",
    type=FILE,
    help="Write a picture: predicted against human scores; needs: pip install 'shamisa[plots]'",
)
@overwrite_option
@allow_seen_option
@feature_options
def probe(
    datasets: tuple[str, ...],
    root: Path | None,
    model: str,
    random: bool,
    splits: dict[str, Any],
    test_on: tuple[str, ...],
    crops: Crops | None,
    fr: bool,
    files: dict[str, Path | None],
    plot: Path | None,
    overwrite: bool,
    allow_seen: bool,
    features: dict[str, Any],
) -> None:
    """Measure a frozen encoder against human scores, as the field does.

    A ridge regression maps the encoder's features to the scores; its strength is the best on a
    validation part. The table has medians over 10 random splits 70/10/20, disjoint by reference
    photo. To keep a fit as a head, see: shamisa fit. More in docs/probing.md.

    \b
    shamisa probe --dataset koniq --root ~/iqa
    shamisa probe --dataset live,csiq,tid2013       a table with averages
    shamisa probe --dataset koniq --test-on clive   fit on one, test on another
    """
    from shamisa_cli.datasets.registry import open_dataset
    from shamisa_cli.evaluation.datasets import by_name, evaluate_datasets
    from shamisa_cli.evaluation.splits import choose_splits

    check_files(*files.values(), plot=plot, overwrite=overwrite)
    fit_on = by_name(open_dataset(name, root) for name in datasets)
    tested = by_name(open_dataset(name, root) for name in test_on)
    both = by_name([*fit_on.values(), *tested.values()])
    for dataset in both.values():
        mention_part(dataset)
    chosen = {name: choose_splits(dataset, **splits) for name, dataset in fit_on.items()}
    skipped = Skipped()
    results: list[DatasetResult] = []
    rows: list[ReportRow] = []
    _, config, own = open_model(model, features, crops)
    for dataset in () if allow_seen else both.values():
        mention_seen(config, dataset)
    for frozen in _encoders(config, own, splits["seed"] if random else None, features):
        some = evaluate_datasets(frozen, both, chosen, list(tested), skipped, fr)
        results += some[0]
        rows += some[1]
    _write(results, rows, files, plot)
    skipped.tell("in the figures")


def _encoders(
    config: ModelConfig, frozen: FrozenEncoder, random_seed: int | None, features: dict[str, Any]
) -> Iterator[FrozenEncoder]:
    """The model, and the same backbone with random weights if a seed is given for these."""
    from shamisa_cli.evaluation.frozen_encoder import FrozenEncoder
    from shamisa_cli.models.store import random_encoder

    yield frozen
    if random_seed is not None:
        encoder, name = random_encoder(config, random_seed), f"{config.name} (random weights)"
        yield FrozenEncoder(name, encoder, frozen.protocol, **features)


def _write(
    results: Sequence[DatasetResult],
    rows: Sequence[ReportRow],
    files: dict[str, Path | None],
    plot: Path | None,
) -> None:
    """Print the tables, and write the files that are asked for."""
    from shamisa_cli.evaluation import report
    from shamisa_cli.evaluation.plot import plot_predictions

    all_rows, papers = report.with_averages(rows), report.paper_lines(rows)
    tables = [each for each in (report.row_cells(all_rows), report.paper_cells(papers)) if each]
    splits = [facts for result in results for facts in result.split_facts()]
    click.echo("\n".join(map(report.text_table, tables)), nl=False)
    write_files(
        files,
        csv=report.csv_table(all_rows),
        markdown="\n".join(map(report.markdown_table, tables)),
        json=report.json_text({"rows": all_rows, "table": papers, "splits": splits}),
    )
    if plot:
        plot_predictions(results[0], plot)
