"""``shamisa study``: variants × seeds under one budget each, probed, in one table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shamisa_cli.commands.completion import (
    complete_backbone,
    complete_dataset,
    complete_device,
    complete_init,
    complete_study,
)
from shamisa_cli.commands.shared import (
    FOLDER,
    PassedBy,
    Skipped,
    command,
    option_group,
    root_option,
)
from shamisa_cli.errors import ShamisaError, StoppedError
from shamisa_cli.progress import RunsProgress

if TYPE_CHECKING:
    from shamisa_cli.experiments.study import Planned
    from shamisa_cli.experiments.study_file import StudySettings
    from shamisa_cli.experiments.study_probe import Prober
    from shamisa_cli.experiments.study_results import RunResult
    from shamisa_cli.imaging.pool import PhotoPool


def _given(**values: Any) -> dict[str, Any]:
    """What was given, by the keys of a study file."""
    named = {key: value for key, value in values.items() if value is not None}
    config = {key: named.pop(key) for key in ("backbone", "init", "device") if key in named}
    dataset = {"probe": {"dataset": named.pop("dataset")}} if "dataset" in named else {}
    return {**named, **dataset, **({"config": config} if config else {})}


def _seeds(_: click.Context, __: click.Parameter, text: str | None) -> list[int] | None:
    """Numbers with commas between."""
    if text is None:
        return None
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise click.BadParameter(f"expected numbers such as 0,1,2, got {text!r}") from None


over_options = option_group(
    "over",
    _given,
    click.option("--backbone", shell_complete=complete_backbone, help="Another backbone."),
    click.option("--init", shell_complete=complete_init, help="Another start of every run."),
    click.option("--dataset", shell_complete=complete_dataset, help="Another dataset to probe on."),
    click.option("--seeds", callback=_seeds, help="Other seeds: 0,1,2."),
    click.option("--steps", type=click.IntRange(1), help="Another budget of every run."),
    click.option("--device", shell_complete=complete_device, help="auto, cpu, cuda or mps."),
)


@command()
@click.argument("file", shell_complete=complete_study)
@over_options
@click.option("--photos", type=FOLDER, help="Folder of good photos.  [default: as pretrain]")
@root_option
@click.option("--out", type=FOLDER, default=Path("runs/study"), help="Folder of the study.")
@click.option("--resume", is_flag=True, help="Go on with the study in --out.")
@click.option("--overwrite", is_flag=True, help="Replace the study in --out.")
@click.option("--list", "only_list", is_flag=True, help="Show the variants; run nothing.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def study(
    file: str,
    over: dict[str, Any],
    photos: Path | None,
    root: Path | None,
    out: Path,
    resume: bool,
    overwrite: bool,
    only_list: bool,
    quiet: bool,
) -> None:
    """Pre-train variants under one budget each, probe every run, and compare them.

    FILE is quick or published, which come with shamisa, or a TOML file of your own. Runs go one at
    a time. Stop when you like: --resume goes on, also within a run. OUT gets table.md, table.csv
    and splits.csv after each run. More in docs/experiments/studies.md.

    \b
    shamisa study quick --photos ~/photos --root ~/iqa
    shamisa study quick --list
    shamisa study published --backbone resnet18 --dataset koniq
    """
    from shamisa_cli.experiments.study_file import find_study, read_study

    settings = read_study(find_study(file), over)
    if only_list:
        _show(settings)
        return
    from shamisa_cli.experiments.study_folder import MARK, open_folder
    from shamisa_cli.experiments.study_probe import Prober
    from shamisa_cli.files import locked

    skipped = Skipped()
    shared = settings.run_config(settings.variants[0], settings.seeds[0])
    prober = Prober(settings.probe, root, skipped, device=shared.device, precision=shared.precision)
    pool = _open_photos(photos, settings.photos, quiet=quiet)
    out.mkdir(parents=True, exist_ok=True)
    with locked(out / MARK):
        open_folder(out, settings, resume=resume, overwrite=overwrite)
        try:
            results = _run(settings, prober, pool, out, quiet=quiet)
        except (KeyboardInterrupt, StoppedError):
            click.echo("the same command with --resume goes on", err=True)
            raise
    _tell(settings, results, len(prober.dataset.images), out)
    skipped.tell("in the figures")


def _show(settings: StudySettings) -> None:
    """What would be run."""
    from shamisa_cli.evaluation.report import text_table
    from shamisa_cli.experiments.study import planned_runs

    runs = planned_runs(settings, Path())
    rows = [[each.title, each.change() or "nothing"] for each in settings.variants]
    click.echo(text_table([["variant", "what differs"], *rows]), nl=False)
    click.echo(
        f"\n{len(settings.variants)} variants, {len(settings.seeds)} seeds: "
        f"{sum(run.trains for run in runs)} runs and {sum(not run.trains for run in runs)} controls"
    )


def _open_photos(given: Path | None, in_file: str | None, *, quiet: bool) -> PhotoPool:
    """The photos to train on: as given, else of the study file, else where pretrain looks."""
    from shamisa_cli.commands.pretrain import photo_folder
    from shamisa_cli.imaging.pool import PhotoPool

    own = Path(in_file).expanduser() if in_file else None
    passed_by = PassedBy()
    pool = PhotoPool(photo_folder(given or own), pass_by=passed_by)
    if not quiet:
        passed_by.tell("give the folder itself")
    return pool


def _run(
    settings: StudySettings, prober: Prober, pool: PhotoPool, out: Path, *, quiet: bool
) -> list[RunResult]:
    """Run what is not finished; the tables are written after each run."""
    from shamisa_cli.experiments.study import Pretrained, planned_runs, run_study

    runs = planned_runs(settings, out)
    results: list[RunResult] = []
    with _Progress("study", "run", len(runs), quiet=quiet) as progress:
        train = Pretrained(pool, settings.save_every, progress.step)
        for result in run_study(runs, train, prober, progress.begin):
            results.append(result)
            _write(settings, results, len(prober.dataset.images), len(runs), out)
            progress.finished(result)
    return results


def _write(
    settings: StudySettings, results: Sequence[RunResult], images: int, of: int, out: Path
) -> None:
    """The tables of what is finished."""
    from shamisa_cli.experiments import study_folder, study_table
    from shamisa_cli.files import write_text

    lines = study_table.study_lines(settings, results)
    write_text(out / study_folder.TABLE, study_table.study_text(settings, lines, images, of))
    write_text(out / study_folder.TABLE_CSV, study_table.table_csv(lines))
    write_text(out / study_folder.SPLITS_CSV, study_table.splits_csv(results))


def _tell(settings: StudySettings, results: Sequence[RunResult], images: int, out: Path) -> None:
    """Print the table, and fail if runs failed."""
    from shamisa_cli.experiments import study_table
    from shamisa_cli.experiments.study_folder import TABLE

    lines = study_table.study_lines(settings, results)
    whole = settings, lines, images, len(results)
    click.echo(study_table.study_text(*whole, study_table.terminal_table), nl=False)
    failed = sum(bool(each.error) for each in results)
    if failed:
        raise ShamisaError(
            f"{failed} of {len(results)} runs failed; {out / TABLE} says why, and resume tries "
            "them again"
        )


class _Progress(RunsProgress):
    """The runs of a study, each named as it begins."""

    def begin(self, run: Planned) -> None:
        """A run is about to begin."""
        self.say(f"run {self.done + 1} of {self.runs}: {run.name}")

    def step(self, record: dict[str, Any]) -> None:
        """Move the bar within a run."""
        self.within(record["progress"])

    def finished(self, result: RunResult) -> None:
        """Move the bar to the end of a run; say what went wrong."""
        self.run_ended()
        if result.error:
            self.say(f"failed: {result.error}")
