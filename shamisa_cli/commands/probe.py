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
    mention_part,
    mention_seen,
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

    @property
    def note(self) -> str:
        """What the table says of them."""
        return f"labels: {self.ladder_label}"

    def results(
        self, frozen: FrozenEncoder, drawn: list[Path], splits: dict[str, Any], skip: Skip
    ) -> Iterator[DatasetResult]:
        """The result on the ladders of the photos ``drawn``, if there are any."""
        from shamisa_cli.ladders.probe import probe_ladders

        if drawn:
            yield probe_ladders(frozen, drawn, self.ladder_label, splits, skip)


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
        help="What the levels of ladders are labeled by.",
    ),
)
group_options = option_group(
    "groups",
    dict,
    click.option(
        "--by-distortion", is_flag=True, help="Also for each distortion and each severity."
    ),
    click.option(
        "--distortion-plot",
        type=FILE,
        help="Write that as a picture; needs: pip install 'shamisa[plots]'",
    ),
)


@command()
@click.option(
    "--dataset",
    "datasets",
    multiple=True,
    required=True,
    callback=names_given,
    shell_complete=one_of((*DATASETS, LADDER), "file", commas=True),
    help="Name (see: shamisa datasets), a CSV with image,mos, or ladder; several with commas.",
)
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
@click.option(
    "--plot",
    type=FILE,
    help="Write a picture: predicted against human scores; needs: pip install 'shamisa[plots]'",
)
@group_options
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
    plot: Path | None,
    groups: dict[str, Any],
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
    shamisa probe --dataset kadid10k --by-distortion
    shamisa probe --dataset ladder --photos photos/ --by-distortion
    """
    from shamisa_cli.datasets.registry import open_dataset
    from shamisa_cli.evaluation.datasets import by_name, evaluate_datasets
    from shamisa_cli.evaluation.splits import choose_splits

    _check(files, plot, groups["distortion_plot"], overwrite)
    named = [name for name in datasets if name != LADDER]
    ladders.check(LADDER in datasets, alone=not named, fr=fr, plot=plot)
    fit_on = by_name(open_dataset(name, root) for name in named)
    tested = by_name(open_dataset(name, root) for name in test_on)
    both = by_name([*fit_on.values(), *tested.values()])
    for dataset in both.values():
        mention_part(dataset)
    _check_groups(groups, list(fit_on.values()), ladders)
    chosen = {name: choose_splits(dataset, **splits) for name, dataset in fit_on.items()}
    drawn = draw_ladder_photos(ladders.photos, "--photos", ladders.sample, splits["seed"])
    skipped = Skipped()
    results: list[DatasetResult] = []
    rows: list[ReportRow] = []
    _, config, own = open_model(model, features, crops)
    for dataset in () if allow_seen else both.values():
        mention_seen(config, dataset)
    for frozen in _encoders(config, own, splits["seed"] if random else None, features):
        some = evaluate_datasets(frozen, both, chosen, list(tested), skipped, fr)
        on_ladders = list(ladders.results(frozen, drawn, splits, skipped))
        results += [*some[0], *on_ladders]
        rows += [*some[1], *(each.row(ladders.note) for each in on_ladders)]
    _write(results, rows, files, plot, groups)
    skipped.tell("in the figures")


def _check(
    files: dict[str, Path | None], plot: Path | None, groups_plot: Path | None, overwrite: bool
) -> None:
    """Refuse files that cannot be written, before anything is computed."""
    check_files(*files.values(), plot=plot, overwrite=overwrite)
    check_files(*files.values(), plot, plot=groups_plot, overwrite=overwrite)


def _check_groups(groups: dict[str, Any], fit_on: Sequence[Dataset], ladders: LadderPart) -> None:
    """Refuse groups where no dataset knows its distortions; say which ones do not."""
    from shamisa_cli.evaluation.groups import without_distortions

    if any(groups.values()):
        for name in without_distortions(fit_on, others=ladders.photos is not None):
            click.echo(f"{name}: not by distortion, which it does not know", err=True)


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
    asked: dict[str, Any],
) -> None:
    """Print the tables, and write the files that are asked for."""
    from shamisa_cli.evaluation import report
    from shamisa_cli.evaluation.groups import group_cells, group_lines, measure_groups
    from shamisa_cli.evaluation.groups_plot import plot_groups
    from shamisa_cli.evaluation.plot import plot_predictions

    all_rows, papers = report.with_averages(rows), report.paper_lines(rows)
    groups = [each for result in results if any(asked.values()) for each in measure_groups(result)]
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
    if plot:
        plot_predictions(results[0], plot)
    if asked["distortion_plot"]:
        plot_groups(groups, asked["distortion_plot"])
