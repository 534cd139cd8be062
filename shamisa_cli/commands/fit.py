"""``shamisa fit``: a head from human scores, kept for the model."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shamisa_cli.commands.fit_ladders import LadderRequest, ladder_options
from shamisa_cli.commands.shared import (
    FILE,
    FOLDER,
    Skipped,
    allow_seen_option,
    check_files,
    command,
    dataset_options,
    feature_options,
    flags_for,
    mention_all,
    model_option,
    open_model,
    overwrite_option,
    root_option,
    split_options,
)
from shamisa_cli.errors import UsageError

if TYPE_CHECKING:
    from shamisa_cli.datasets.dataset import Dataset
    from shamisa_cli.evaluation.datasets import DatasetResult
    from shamisa_cli.evaluation.frozen_encoder import FrozenEncoder, Skip
    from shamisa_cli.evaluation.splits import Split
    from shamisa_cli.finetuning.apart import SplitEncoder, Teach
    from shamisa_cli.ladders.heads import Judged
    from shamisa_cli.models.config import ModelConfig
    from shamisa_cli.models.head import Head


@command()
@dataset_options
@click.option("--name", required=True, help="Name of the head, for: shamisa score --head NAME.")
@root_option
@model_option
@split_options
@ladder_options
@click.option("--splits-of", type=FOLDER, help="Figures by the encoders of this shamisa finetune.")
@click.option(
    "--split-photos", type=click.IntRange(5), help="Ladders of so many photos for each of these."
)
@click.option("--json", type=FILE, help="Write everything measured as JSON.")
@overwrite_option
@allow_seen_option
@feature_options
def fit(
    dataset: str,
    name: str,
    root: Path | None,
    model: str,
    splits: dict[str, Any],
    request: LadderRequest,
    splits_of: Path | None,
    split_photos: int | None,
    json: Path | None,
    overwrite: bool,
    allow_seen: bool,
    features: dict[str, Any],
) -> None:
    """Fit a head to the human scores of a dataset, and keep it (shamisa models shows where).

    The head is fitted on all images. Its figures are of heads fitted in the same way on a part of
    them, as in shamisa probe. For an encoder that was fine-tuned on these images see
    docs/probing.md.

    \b
    shamisa fit mine.csv --name mine      then: shamisa score photos/ --head mine
    shamisa fit clive --name mixed --ladders photos/ --calibrate
    """
    from shamisa_cli.datasets.registry import open_dataset
    from shamisa_cli.evaluation.splits import choose_splits
    from shamisa_cli.models.heads import check_head_name, save_head
    from shamisa_cli.models.store import encoder_digest

    if split_photos and not (splits_of and request.ladders):
        raise UsageError("--split-photos has no effect without --splits-of and --ladders")
    check_files(json, overwrite=overwrite)
    check_head_name(name)
    scored = open_dataset(dataset, root)
    chosen = choose_splits(scored, **splits)
    folder, config, frozen = _frozen(model, name, overwrite, scored.info.short_side, features)
    digest = encoder_digest(folder, config)  # now: a training may go on while features are made
    mention_all(config, [scored], allow_seen=allow_seen or splits_of is not None)
    encoders = _split_encoders(splits_of, chosen, config, scored, frozen)
    photos = request.draw(splits["seed"], _seen_by(config, encoders))
    skipped = Skipped()
    teach = partial(request.teach, photos=photos, seed=splits["seed"], skip=skipped)
    lessons = (teach, partial(teach, count=split_photos), request.calibrate) if photos else None
    result, head, judged = _fitted(name, frozen, scored, chosen, encoders, lessons, skipped)
    head = dataclasses.replace(head, info=dataclasses.replace(head.info, encoder=digest))
    _tell(result, head, judged, json)
    path = save_head(folder, head, overwrite=overwrite)
    click.echo(f"\nhead {name} on {head.info.n_images} images: {path}")
    skipped.tell("in the fit")


def _fitted(
    name: str,
    frozen: FrozenEncoder,
    dataset: Dataset,
    splits: Sequence[Split],
    encoders: Sequence[SplitEncoder],
    lessons: tuple[Teach, Teach, bool] | None,
    skip: Skip,
) -> tuple[DatasetResult, Head, Judged | None]:
    """Figures of human scores alone, the head, and what heads with lessons are worth, if any.

    ``lessons`` teach over the model's encoder and over ``encoders``; and whether to calibrate.
    """
    from shamisa_cli.evaluation.datasets import evaluate_dataset
    from shamisa_cli.evaluation.heads import fit_head
    from shamisa_cli.finetuning.apart import judge_splits
    from shamisa_cli.ladders.heads import fit_taught, judge

    found = frozen.dataset(dataset, skip)
    apart, judged = None, None
    if encoders:
        on_split = lessons[1] if lessons else None
        apart, judged = judge_splits(encoders, frozen, dataset, found, skip, on_split)
    result = apart.result if apart else evaluate_dataset(frozen.name, found, splits)
    if lessons is None:
        return result, fit_head(name, result, found.features, apart), None
    teach, _, calibrate = lessons
    taught = teach(frozen, found)
    judged = judged or judge(taught, result)
    return result, fit_taught(name, taught, judged, calibrate=calibrate), judged


def _split_encoders(
    run: Path | None,
    splits: Sequence[Split],
    config: ModelConfig,
    scored: Dataset,
    frozen: FrozenEncoder,
) -> list[SplitEncoder]:
    """The encoders of the study ``run``, if there is one; for a model trained on ``scored``."""
    from shamisa_cli.evaluation.seen import count_seen
    from shamisa_cli.finetuning.apart import split_encoders

    if run is None:
        return []
    if not count_seen(config, scored):
        raise UsageError(
            f"--splits-of {run}: model {config.name} was not trained on {scored.info.name}, so "
            "figures by fine-tuned encoders are not its own; give --model the folder that "
            "shamisa finetune --all made"
        )
    return split_encoders(run, splits, frozen.encoder)


def _seen_by(config: ModelConfig, encoders: Sequence[SplitEncoder]) -> Callable[[Path], bool]:
    """Whether a photo took part in the training of the model, or of ``encoders``."""
    from shamisa_cli.evaluation.seen import is_one_of

    seen = frozenset(config.seen).union(*(each.ladders for each in encoders))
    return partial(is_one_of, seen)


def _frozen(
    model: str, name: str, overwrite: bool, short_side: int | None, features: dict[str, Any]
) -> tuple[Path, ModelConfig, FrozenEncoder]:
    """Folder, config and encoder of a model that can have a head ``name`` for such photos."""
    from shamisa_cli.models.heads import check_new_head

    folder, config, frozen = open_model(model, features)
    with flags_for("overwrite"):
        check_new_head(folder, name, overwrite=overwrite)
    seen = frozen.protocol_for(short_side)
    if seen != config.protocol:
        raise UsageError(
            f"the dataset is viewed by {seen}, but the model scores by {config.protocol}; "
            f"change protocol in {folder / 'config.json'} of a copy"
        )
    return folder, config, frozen


def _tell(result: DatasetResult, head: Head, judged: Judged | None, json: Path | None) -> None:
    """Print the figures, and write them if that is asked for."""
    from shamisa_cli.evaluation import report
    from shamisa_cli.evaluation.evaluate import summarize
    from shamisa_cli.files import write_text
    from shamisa_cli.ladders.ladder import ladder_cells

    rows = [result.row()] + ([judged.result.row("with ladders")] if judged else [])
    click.echo(report.text_table(report.row_cells(rows)), nl=False)
    ladders = judged.ladders if judged else None
    if ladders:
        click.echo(f"\n{head.info.note}")
        click.echo("a fifth of the ladders' photos, by a head fitted on the others:")
        click.echo(report.text_table(ladder_cells(ladders)), nl=False)
    if json:
        results = judged.result.results if judged else result.results
        figures = {"info": head.info, "measures": summarize(results)}
        everything = {"rows": rows, "splits": result.split_facts()}
        write_text(json, report.json_text({**everything, "head": figures, "ladders": ladders}))
