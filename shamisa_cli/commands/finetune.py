"""``shamisa finetune``: train an encoder on human scores, beside the linear probe."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shamisa_cli.commands.completion import complete_dataset
from shamisa_cli.commands.shared import (
    FILE,
    FOLDER,
    Skipped,
    check_files,
    command,
    feature_options,
    mention_part,
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

if TYPE_CHECKING:
    from shamisa_cli.evaluation.frozen_encoder import DatasetFeatures, FrozenEncoder
    from shamisa_cli.evaluation.splits import Split
    from shamisa_cli.finetuning.config import FinetuneConfig
    from shamisa_cli.finetuning.study import Outcome
    from shamisa_cli.models.config import ModelConfig


def _shares(_: click.Context, __: click.Parameter, text: str) -> tuple[float, ...]:
    """Shares in (0, 1] with commas between, each once."""
    try:
        found = tuple(dict.fromkeys(float(part) for part in text.split(",")))
    except ValueError:
        found = ()
    if not found or not all(0 < share <= 1 for share in found):
        raise click.BadParameter(f"expected shares such as 0.2,0.4,1, each above 0, got {text!r}")
    return found


training_options = option_group(
    "training",  # keys of a config file
    dict,
    click.option("--method", help="regress: human scores alone.  [default: regress]"),
    click.option("--epochs", type=click.FloatRange(0), help="Passes over the training part."),
    click.option("--budget", help="Stop a split after so much wall-clock time: 5m, 1h."),
    click.option("--crop", type=int, help="Side of random crops.  [default: as the model looks]"),
    click.option("--lr", type=float, help="Peak learning rate."),
)


@command()
@click.argument("csv_or_name", required=False)
@click.option(
    "--dataset",
    shell_complete=complete_dataset,
    help="Name (see: shamisa datasets), or a CSV with image,mos.",
)
@root_option
@model_option
@click.option("--config", "config_file", type=FILE, help="TOML file.")
@training_options
@split_options
@click.option(
    "--train-share",
    "shares",
    default="1",
    callback=_shares,
    help="Use so much of the training part: 0.2,0.4,0.6,1.",
)
@click.option("--all", "whole", is_flag=True, help="No splits: one model from all images.")
@click.option("--out", type=FOLDER, default=Path("runs/finetune"), help="Folder of the run.")
@click.option("--resume", is_flag=True, help="Go on with the run in --out.")
@table_options
@overwrite_option
@feature_options
def finetune(
    csv_or_name: str | None,
    dataset: str | None,
    root: Path | None,
    model: str,
    config_file: Path | None,
    training: dict[str, Any],
    splits: dict[str, Any],
    shares: tuple[float, ...],
    whole: bool,
    out: Path,
    resume: bool,
    files: dict[str, Path | None],
    overwrite: bool,
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
    from shamisa_cli.evaluation.datasets import readable_splits
    from shamisa_cli.evaluation.splits import choose_splits
    from shamisa_cli.finetuning.config import resolve

    if (dataset is None) == (csv_or_name is None):
        raise UsageError("name one dataset: shamisa finetune mine.csv, or --dataset clive")
    check_files(*files.values(), overwrite=overwrite)
    own = {"seed": splits["seed"], **{key: features[key] for key in ("device", "precision")}}
    config = resolve(config_file, {**training, **own})
    if out.is_dir() and any(out.iterdir()) and not resume:
        raise UsageError(f"{out} holds a run already: --resume goes on with it, or choose another")
    scored = open_dataset(dataset or csv_or_name or "", root)
    mention_part(scored)
    chosen = choose_splits(scored, **splits)
    _, start, frozen = open_model(model, features)
    skipped = Skipped()
    found = frozen.dataset(scored, skipped)
    chosen = readable_splits(found, chosen)
    if whole:
        _whole(frozen, start, found, config, out)
    else:
        _over_splits(frozen, found, chosen, shares, config, out, files, quiet=features["quiet"])
    skipped.tell("in the figures")


def _over_splits(
    frozen: FrozenEncoder,
    found: DatasetFeatures,
    splits: Sequence[Split],
    shares: Sequence[float],
    config: FinetuneConfig,
    out: Path,
    files: dict[str, Path | None],
    *,
    quiet: bool,
) -> None:
    """Fine-tune on the splits; print the table, and write the files that are asked for."""
    from shamisa_cli.evaluation import report
    from shamisa_cli.finetuning.study import by_share, finetune_splits, paired, study_rows

    outcomes: list[Outcome] = []
    runs = len(splits) * len(shares)
    stopped: StoppedError | None = None
    with _Progress(runs, quiet=quiet) as progress:
        try:
            for outcome in finetune_splits(
                frozen, found, splits, shares, config, out, progress.say, progress.step
            ):
                outcomes.append(outcome)
                progress.finished()
        except StoppedError as error:  # what is finished is shown
            stopped = error
    if stopped and not outcomes:
        raise stopped
    info, images = found.dataset.info, len(found.dataset.images)
    rows = study_rows(frozen.name, info.name, images, config.method, outcomes)
    differences = {share: paired(some) for share, some in by_share(outcomes).items()}
    lines = [difference.line(share) for share, difference in differences.items()]
    click.echo(report.text_table(report.row_cells(rows)), nl=False)
    click.echo("\n" + "\n".join(lines))
    write_files(
        files,
        csv=report.csv_table(rows),
        markdown=report.markdown_table(report.row_cells(rows)) + "\n" + "\n".join(lines) + "\n",
        json=report.json_text({"rows": rows, "paired": differences, "splits": outcomes}),
    )
    if stopped:
        click.echo(f"{len(outcomes)} of {runs} runs are finished", err=True)
        raise stopped


def _whole(
    frozen: FrozenEncoder,
    start: ModelConfig,
    found: DatasetFeatures,
    config: FinetuneConfig,
    out: Path,
) -> None:
    """Fine-tune on all images, and write the model with its head."""
    from shamisa_cli.finetuning.whole import finetune_whole

    with _Progress(1, quiet=frozen.quiet) as progress:
        folder = finetune_whole(frozen, start, found, config, out, progress.step)
    click.echo(str(folder))


class _Progress:
    """Lines and a bar on stderr, a unit a run. State: the bar."""

    def __init__(self, runs: int, *, quiet: bool) -> None:
        from shamisa_cli.progress import progress_bar

        self.quiet = quiet
        self.bar = progress_bar(runs, "fine-tuning", unit="split", quiet=quiet)
        self.done = 0

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def say(self, message: str) -> None:
        """One line, above the bar."""
        from shamisa_cli.progress import say_above_bar

        if not self.quiet:
            say_above_bar(message)

    def step(self, record: dict[str, Any]) -> None:
        """Move the bar within a run."""
        self.bar.update(self.done + record["progress"] - self.bar.n)
        self.bar.set_postfix_str(f"loss {record['total']:.3f}")

    def finished(self) -> None:
        """Move the bar to the end of a run."""
        self.done += 1
        self.bar.update(self.done - self.bar.n)
