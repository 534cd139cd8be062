"""``shamisa probe``: how well frozen features follow human scores."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shamisa_cli.commands.completion import DATASETS, complete_datasets, one_of
from shamisa_cli.commands.shared import (
    FILE,
    FOLDER,
    Crops,
    Skipped,
    allow_seen_option,
    check_files,
    command,
    crops_option,
    draw_ladder_photos,
    feature_options,
    mention_all,
    model_option,
    names_given,
    open_model,
    option_group,
    overwrite_option,
    root_option,
    split_options,
    table_options,
    write_files,
)
from shamisa_cli.errors import UsageError

if TYPE_CHECKING:
    from shamisa_cli.datasets.dataset import Dataset
    from shamisa_cli.evaluation.datasets import DatasetResult
    from shamisa_cli.evaluation.frozen_encoder import FrozenEncoder, Skip
    from shamisa_cli.evaluation.report import ReportRow
    from shamisa_cli.models.config import ModelConfig

LADDER = "ladder"


@dataclasses.dataclass(frozen=True)
class LadderPart:
    """``--dataset ladder``: which photos, and what they are labeled by."""

    photos: Path | None
    sample: int
    ladder_label: Any

    def check(self, asked: bool, *, alone: bool, fr: bool, plot: Path | None) -> None:
        """Refuse what does not go together with ladders, or without them."""
        if asked != (self.photos is not None):
            raise UsageError("--dataset ladder and --photos, whose ladders it makes, go together")
        if asked and fr:
            raise UsageError("--fr is for datasets with reference photos; leave ladder out")
        if alone and plot:
            raise UsageError(
                f"--plot {plot} shows pictures of a dataset; of ladders, see --distortion-plot"
            )

    def evaluate(
        self, frozen: FrozenEncoder, drawn: list[Path], splits: dict[str, Any], skip: Skip
    ) -> tuple[list[DatasetResult], list[ReportRow]]:
        """The result on the ladders of the photos ``drawn``, and its row, if there are any."""
        from shamisa_cli.ladders.probe import probe_ladders

        if not drawn:
            return [], []
        result = probe_ladders(frozen, drawn, self.ladder_label, splits, skip)
        return [result], [result.row(f"labels: {self.ladder_label}")]


ladder_options = option_group(
    "ladders",
    LadderPart,
    click.option("--photos", type=FOLDER, help="Photos for --dataset ladder."),
    click.option(
        "--sample", type=click.IntRange(5), default=20, help="So many of --photos, at random."
    ),
    click.option(
        "--ladder-label",
        type=click.Choice(["severity", "mdsi"]),
        default="severity",
        help="What pictures of ladders are labeled by.",
    ),
)
figure_options = option_group(
    "figures",
    dict,
    click.option(
        "--plot",
        type=FILE,
        help="Write a picture: predicted against human scores; needs: pip install 'shamisa[plots]'",
    ),
    click.option(
        "--by-distortion", is_flag=True, help="Also for each distortion and each severity."
    ),
    click.option(
        "--distortion-plot",
        type=FILE,
        help="Write that as a picture; needs the same.",
    ),
)


def _named(csv_or_name: str | None, dataset: tuple[str, ...]) -> tuple[str, ...]:
    named = (*((csv_or_name,) if csv_or_name else ()), *dataset)
    if not named:
        raise UsageError("name a dataset: shamisa probe mine.csv, or --dataset clive")
    return named


datasets_options = option_group(
    "datasets",
    _named,
    click.argument("csv_or_name", required=False),
    click.option(
        "--dataset",
        multiple=True,
        callback=names_given,
        shell_complete=one_of((*DATASETS, LADDER), "file", commas=True),
        help="Name (see: shamisa datasets), a CSV with image,mos, or ladder; several with commas.",
    ),
)


@command()
@datasets_options
@root_option
@ladder_options
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
@figure_options
@overwrite_option
@allow_seen_option
@feature_options
def probe(
    datasets: tuple[str, ...],
    root: Path | None,
    ladders: LadderPart,
    model: str,
    random: bool,
    splits: dict[str, Any],
    test_on: tuple[str, ...],
    crops: Crops | None,
    fr: bool,
    files: dict[str, Path | None],
    figures: dict[str, Any],
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
    shamisa probe --dataset ladder --photos photos/ --by-distortion
    """
    from shamisa_cli.datasets.registry import open_dataset
    from shamisa_cli.evaluation.datasets import by_name, evaluate_datasets
    from shamisa_cli.evaluation.splits import choose_splits

    _check_options(datasets, files, figures, ladders, fr=fr, overwrite=overwrite)
    fit_on = by_name(open_dataset(name, root) for name in datasets if name != LADDER)
    tested = by_name(open_dataset(name, root) for name in test_on)
    both = by_name([*fit_on.values(), *tested.values()])
    _check_groups(figures, list(fit_on.values()), ladders)
    chosen = {name: choose_splits(dataset, **splits) for name, dataset in fit_on.items()}
    drawn = draw_ladder_photos(ladders.photos, "--photos", ladders.sample, splits["seed"])
    skipped = Skipped()
    results: list[DatasetResult] = []
    rows: list[ReportRow] = []
    _, config, own = open_model(model, features, crops)
    mention_all(config, list(both.values()), allow_seen=allow_seen)
    for frozen in _encoders(config, own, splits["seed"] if random else None, features):
        some = evaluate_datasets(frozen, both, chosen, list(tested), skipped, fr)
        more = ladders.evaluate(frozen, drawn, splits, skipped)
        results, rows = [*results, *some[0], *more[0]], [*rows, *some[1], *more[1]]
    _write(results, rows, files, figures)
    skipped.tell("in the figures")


def _check_options(
    datasets: Sequence[str],
    files: dict[str, Path | None],
    figures: dict[str, Any],
    ladders: LadderPart,
    *,
    fr: bool,
    overwrite: bool,
) -> None:
    """Refuse files that cannot be written, and options that do not go together."""
    plot, other = figures["plot"], figures["distortion_plot"]
    check_files(*files.values(), plot=plot, overwrite=overwrite)
    check_files(*files.values(), plot, plot=other, overwrite=overwrite)
    alone = all(name == LADDER for name in datasets)
    ladders.check(LADDER in datasets, alone=alone, fr=fr, plot=plot)


def _check_groups(figures: dict[str, Any], fit_on: Sequence[Dataset], ladders: LadderPart) -> None:
    """Refuse groups where no dataset knows its distortions; say which ones do not."""
    from shamisa_cli.evaluation.groups import without_distortions

    if _by_distortion(figures):
        for name in without_distortions(fit_on, others=ladders.photos is not None):
            click.echo(f"{name}: not by distortion, which it does not know", err=True)


def _by_distortion(figures: dict[str, Any]) -> bool:
    return bool(figures["by_distortion"] or figures["distortion_plot"])


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
    figures: dict[str, Any],
) -> None:
    """Print the tables, and write the files that are asked for."""
    from shamisa_cli.evaluation import report
    from shamisa_cli.evaluation.groups import group_cells, group_lines, measure_groups
    from shamisa_cli.evaluation.groups_plot import plot_groups
    from shamisa_cli.evaluation.plot import plot_predictions

    all_rows, papers = report.with_averages(rows), report.paper_lines(rows)
    asked = results if _by_distortion(figures) else []
    groups = [each for result in asked for each in measure_groups(result)]
    cells = report.row_cells(all_rows), report.paper_cells(papers), group_cells(groups)
    tables = [each for each in cells if each]
    splits = [facts for result in results for facts in result.split_facts()]
    click.echo("\n".join(map(report.text_table, tables)), nl=False)
    write_files(
        files,
        csv=report.csv_table(all_rows, group_lines(groups)),
        markdown="\n".join(map(report.markdown_table, tables)),
        json=report.json_text(
            {"rows": all_rows, "table": papers, "splits": splits}
            | ({"groups": groups} if groups else {})
        ),
    )
    if figures["plot"]:
        plot_predictions(results[0], figures["plot"])
    if figures["distortion_plot"]:
        plot_groups(groups, figures["distortion_plot"])
