"""``shamisa finetune``: train an encoder on human scores, beside the linear probe."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from shamisa_cli.commands.finetune_study import Study, study_options
from shamisa_cli.commands.shared import (
    FILE,
    FOLDER,
    Skipped,
    allow_seen_option,
    check_files,
    command,
    dataset_options,
    feature_options,
    mention_all,
    model_option,
    open_model,
    option_group,
    overwrite_option,
    root_option,
    split_options,
    table_options,
    write_files,
)
from shamisa_cli.errors import StoppedError, UsageError
from shamisa_cli.progress import RunsProgress, say_above_bar

if TYPE_CHECKING:
    from shamisa_cli.datasets.dataset import Dataset
    from shamisa_cli.evaluation.frozen_encoder import DatasetFeatures, FrozenEncoder
    from shamisa_cli.evaluation.splits import Split
    from shamisa_cli.finetuning.config import FinetuneConfig
    from shamisa_cli.finetuning.judges import Judges
    from shamisa_cli.finetuning.ladders import LadderPart
    from shamisa_cli.finetuning.study import Outcome
    from shamisa_cli.models.config import ModelConfig


training_options = option_group(
    "training",  # keys of a config file
    dict,
    click.option(
        "--method",
        help="regress: human scores alone; lml: places of photos too.  [default: regress]",
    ),
    click.option(
        "--saliency",
        help="lml: activation, attention, spectral, center or random.  [default: activation]",
    ),
    click.option("--epochs", type=click.FloatRange(0), help="Passes over the training part."),
    click.option("--budget", help="Stop a split after so much wall-clock time: 5m, 1h."),
    click.option("--crop", type=int, help="Side of random crops.  [default: as the model looks]"),
    click.option("--kinds", is_flag=True, default=None, help="Learn kinds of damage too."),
    click.option("--lr", type=float, help="Peak learning rate."),
)


@command()
@dataset_options
@root_option
@model_option
@click.option("--config", "config_file", type=FILE, help="TOML file.")
@training_options
@split_options
@study_options
@click.option("--out", type=FOLDER, default=Path("runs/finetune"), help="Folder of the run.")
@click.option("--resume", is_flag=True, help="Go on with the run in --out.")
@table_options
@overwrite_option
@allow_seen_option
@feature_options
def finetune(
    dataset: str,
    root: Path | None,
    model: str,
    config_file: Path | None,
    training: dict[str, Any],
    splits: dict[str, Any],
    study: Study,
    out: Path,
    resume: bool,
    files: dict[str, Path | None],
    overwrite: bool,
    allow_seen: bool,
    features: dict[str, Any],
) -> None:
    """Train the last layers of an encoder on human scores, beside the linear probe.

    Each split starts at its linear probe and keeps the state that is best on the validation part.
    The table shows both, and their difference split by split. More in docs/finetuning.md.

    \b
    shamisa finetune --dataset clive
    shamisa finetune mine.csv --all --out runs/tuned     a model: runs/tuned/model
    """
    from shamisa_cli.datasets.registry import open_dataset
    from shamisa_cli.evaluation.seen import seen_among

    check_files(*files.values(), plot=study.plot, overwrite=overwrite)
    config = _settings(config_file, {**training, **_given({**splits, **features})})
    features |= {"device": config.device, "precision": config.precision}
    _check_out(out, resume=resume)
    scored = open_dataset(dataset, root)
    others = study.open_others(scored, root)
    chosen = _choose_splits(scored, {**splits, "seed": config.seed}, study)
    start, frozen = _open(model, features, config, scored)
    mention_all(start, (scored, *others), allow_seen=allow_seen)
    photos = study.draw(config.seed, seen_among((scored, *others), start.seen))
    skipped = Skipped()
    found = frozen.dataset(scored, skipped)
    judges = study.judges(frozen, others, photos, config.seed, skipped)
    if study.whole:
        _whole(frozen, start, found, config, judges.ladders, out)
    else:
        _over_splits(frozen, found, chosen, study, judges, config, out, files)
    skipped.tell("in the figures")


def _given(options: dict[str, Any]) -> dict[str, Any]:
    """Those of a run's config that are asked for by ``options``, not there by default."""
    source = click.get_current_context().get_parameter_source
    names = ("seed", "device", "precision")
    return {name: options[name] for name in names if source(name) is not ParameterSource.DEFAULT}


def _choose_splits(scored: Dataset, splits: dict[str, Any], study: Study) -> list[Split]:
    """The splits; of one model from all images none, and it needs a name that its head can have."""
    from shamisa_cli.evaluation.splits import choose_splits
    from shamisa_cli.models.heads import check_head_name

    if not study.whole:
        return choose_splits(scored, **splits)
    try:
        check_head_name(scored.info.name)
    except UsageError as error:
        raise UsageError(f"{error}; the head is named after the CSV: rename that") from error
    choose_splits(scored, 1, splits["seed"], "random")  # too few images: refused now, not later
    return []


def _settings(config_file: Path | None, options: dict[str, Any]) -> FinetuneConfig:
    """The config of the run; an option that would do nothing is refused."""
    from shamisa_cli.finetuning.config import resolve

    config = resolve(config_file, options)
    if options["saliency"] is not None and config.method != "lml":
        raise UsageError("--saliency has no effect without --method lml")
    return config


def _open(
    model: str, features: dict[str, Any], config: FinetuneConfig, scored: Dataset
) -> tuple[ModelConfig, FrozenEncoder]:
    """The model to start from, if the method can do with it, and with the dataset."""
    from shamisa_cli.finetuning.contrasted import check_contrast
    from shamisa_cli.finetuning.targets import targets_of

    targets_of(scored, kinds=config.kinds)  # refused before minutes of features
    _, start, frozen = open_model(model, features)
    check_contrast(config, frozen)
    return start, frozen


def _check_out(out: Path, *, resume: bool) -> None:
    """Refuse a folder with a run in it, unless that goes on."""
    if out.is_dir() and any(out.iterdir()) and not resume:
        raise UsageError(f"{out} holds a run already: --resume goes on with it, or choose another")


def _over_splits(
    frozen: FrozenEncoder,
    found: DatasetFeatures,
    splits: Sequence[Split],
    study: Study,
    judges: Judges,
    config: FinetuneConfig,
    out: Path,
    files: dict[str, Path | None],
) -> None:
    """Fine-tune on the splits; print the table, and write the files that are asked for."""
    from shamisa_cli.evaluation.datasets import readable_splits
    from shamisa_cli.finetuning.study import finetune_splits

    splits = readable_splits(found, splits)
    outcomes: list[Outcome] = []
    runs = len(splits) * len(study.shares)
    stopped: StoppedError | None = None
    with _Progress("fine-tuning", "split", runs, quiet=frozen.quiet) as progress:
        tell = progress.say, progress.step
        try:
            for outcome in finetune_splits(
                frozen, found, splits, study.shares, config, out, *tell, judges
            ):
                outcomes.append(outcome)
                progress.run_ended()
        except StoppedError as error:  # what is finished is shown
            stopped = error
    if stopped and not outcomes:
        raise stopped
    _write(frozen.name, found, config.method, outcomes, judges, files, study.plot)
    if stopped:
        click.echo(f"{len(outcomes)} of {runs} runs are finished", err=True)
        raise stopped


def _write(
    name: str,
    found: DatasetFeatures,
    method: str,
    outcomes: Sequence[Outcome],
    judges: Judges,
    files: dict[str, Path | None],
    plot: Path | None,
) -> None:
    """Print the table and what it comes to, and write the files that are asked for."""
    from shamisa_cli.evaluation import report
    from shamisa_cli.finetuning.plots import plot_paired
    from shamisa_cli.finetuning.study import by_share, ladder_line, paired, study_rows

    shares = by_share(outcomes)
    rows = study_rows(name, found, method, outcomes, judges.datasets)
    differences = {share: paired(some) for share, some in shares.items()}
    elsewhere = {
        other: {share: paired(some, other) for share, some in shares.items()}
        for other in judges.names
    }
    lines = [each.line(share) for share, each in differences.items()]
    for other, of_share in elsewhere.items():
        lines += [each.line(share, other) for share, each in of_share.items()]
    if judges.ladders:
        lines += [ladder_line(some, judges.ladders) for some in shares.values()]
    told = {"rows": rows, "paired": differences, "elsewhere": elsewhere, "splits": outcomes}
    click.echo(report.text_table(report.row_cells(rows)), nl=False)
    click.echo("\n" + "\n".join(lines))
    write_files(
        files,
        csv=report.csv_table(rows),
        markdown=report.markdown_table(report.row_cells(rows)) + "\n" + "\n".join(lines) + "\n",
        json=report.json_text(told),
    )
    if plot:
        plot_paired(found.dataset.info.name, shares, plot)


def _whole(
    frozen: FrozenEncoder,
    start: ModelConfig,
    found: DatasetFeatures,
    config: FinetuneConfig,
    ladders: LadderPart | None,
    out: Path,
) -> None:
    """Fine-tune on all images, and write the model with its head."""
    from shamisa_cli.finetuning.whole import finetune_whole

    with _Progress("fine-tuning", "run", 1, quiet=frozen.quiet) as progress:
        folder = finetune_whole(
            frozen, start, found, config, out, progress.step, ladders, say_above_bar
        )
    click.echo(str(folder))


class _Progress(RunsProgress):
    """The splits, with the loss of the one that is trained."""

    def step(self, record: dict[str, Any]) -> None:
        """Move the bar within a run."""
        self.within(record["progress"])
        self.bar.set_postfix_str(f"loss {record['total']:.3f}")
