"""``score --out``: shards in, Parquet files out, by an engine; ``--status`` of such a run."""

from __future__ import annotations

import functools
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from shamisa_cli.commands.scorer import load_scorer
from shamisa_cli.commands.shared import Command, flags_for, option_group
from shamisa_cli.commands.sinks import tell
from shamisa_cli.errors import ShamisaError, UsageError

if TYPE_CHECKING:
    from shamisa_cli.engines.engine import Engine
    from shamisa_cli.scoring import Scorer
    from shamisa_cli.sharding.run import Outcome
    from shamisa_cli.sharding.storage import Folder

_ONLY_WITH_OUT = (
    "engine", "address", "gpus_per_task", "shard", "shard_size", "image_column", "keep",
    "attempts", "embeddings",
)  # fmt: skip
_OF_ROW_FILES = (
    "csv", "json", "jsonl", "report", "recursive", "follow_links", "from_file", "null",
    "check_content", "overwrite", "sort", "top", "below", "above", "explain", "map", "xmp",
)  # fmt: skip
_ENGINE_OPTIONS = ("workers", "address", "gpus_per_task")
_INPUT_OPTIONS = ("image_column", "shard_size", "max_pixels", "short_side", "max_side")
_LOADING = (
    "model", "head", "device", "precision", "batch_size", "short_side", "max_side", "native",
    "crops", "max_pixels",
)  # fmt: skip
"""Options that are keywords of ``scoring.load``."""
_TICK = 5.0
"""s between two looks at whether a line of progress is due."""


@dataclass(frozen=True)
class ShardRequest:
    """What ``score --out`` is asked for; see the options."""

    out: str | None
    status: str | None
    engine: str
    address: str | None
    gpus_per_task: float
    job: tuple[int, int]
    shard_size: int | None
    image_column: str | None
    keep: tuple[str, ...] | None
    attempts: int
    embeddings: bool


def _request(
    out: str | None, status: str | None, shard: str | None, keep: str | None, **rest: Any
) -> ShardRequest | None:
    """What is asked for; None for a run that is not of shards."""
    if out is None:
        if status is None:
            refuse_given(_ONLY_WITH_OUT, "needs --out, the folder for a Parquet file a shard")
            return None
        refuse_given(("paths", *_ONLY_WITH_OUT), "has no effect with --status")
    elif status is not None:
        raise UsageError("--status looks at a run, --out makes one: give one of them")
    refuse_given(_OF_ROW_FILES, "has no effect with --out: rows go into its Parquet files")
    return ShardRequest(out=out, status=status, job=job_of(shard), keep=names_of(keep), **rest)


def refuse_given(names: Sequence[str], why: str) -> None:
    """Refuse the first of the options ``names`` that was given."""
    context = click.get_current_context()
    for name in names:
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            if name != "paths":
                flags = {each.name: each.opts[0] for each in context.command.params}
                raise UsageError(f"{flags[name]} {why}")
            if context.params.get("paths"):
                raise UsageError(f"PATHS {why}")


def names_of(text: str | None) -> tuple[str, ...] | None:
    """Names with commas between; None if there is nothing."""
    return None if text is None else tuple(name for name in re.split(r"\s*,\s*", text) if name)


def job_of(text: str | None) -> tuple[int, int]:
    """``17/256`` as numbers; without it the only job of one."""
    if text is None:
        return 1, 1
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    if found is None:
        raise UsageError(f"--shard {text}: expected k/n, such as 17/256")
    k, n = int(found[1]), int(found[2])
    if not 1 <= k <= n:
        raise UsageError(f"--shard {text}: shares count from 1: 1/{n} to {n}/{n}")
    return k, n


ENGINE_OPTIONS = (
    click.option(
        "--engine",
        default="processes",
        show_default=True,
        help="With --out: processes, ray or dask.",
    ),
    click.option("--address", help="Of a cluster of ray or dask.  [default: start one here]"),
    click.option(
        "--gpus-per-task",
        type=click.FloatRange(0),
        default=0.0,
        help="That a task of ray or dask reserves.",
    ),
    click.option("--shard", metavar="K/N", help="The k-th of n shares of the shards, from 1."),
    click.option(
        "--shard-size",
        type=click.IntRange(1),
        help="Photos of a folder a shard.  [default: 10000]",
    ),
    click.option("--image-column", help="Of Parquet files.  [default: image]"),
    click.option("--keep", metavar="A,B", help="Columns of the input.  [default: all small ones]"),
    click.option(
        "--attempts",
        type=click.IntRange(1),
        default=3,
        show_default=True,
        help="Times that a shard is tried.",
    ),
)
"""How a run of shards is done, for commands that make one."""

_shard_options = option_group(
    "shards",
    _request,
    click.option("--out", metavar="DIR", help="Score tars, Parquet or folders into DIR or a URL."),
    click.option("--status", metavar="DIR", help="Say how far the run into DIR is."),
    *ENGINE_OPTIONS,
    click.option("--embeddings", is_flag=True, help="With --out: add the column features."),
)


def shard_mode(command: Command) -> Command:
    """Add the options of shards to ``score``; with --out or --status they take it over."""

    @functools.wraps(command)
    def run(*, shards: ShardRequest | None, **values: Any) -> Any:
        if shards is None:
            return command(**values)
        options = {name: values[name] for name in _LOADING}
        return score_shards(values["paths"], shards, options, values["workers"], values["quiet"])

    return _shard_options(run)


def score_shards(
    paths: Sequence[str],
    asked: ShardRequest,
    options: dict[str, Any],
    workers: int | None,
    quiet: bool,
    make: Callable[..., Scorer] | None = None,
) -> None:
    """``score --out`` or ``score --status``; ``make`` loads the model, in place of ``load``."""
    from shamisa_cli.sharding.storage import Folder

    if asked.out is None:
        _tell_status(Folder(asked.status or ""))
        return
    if not paths:
        raise UsageError("no inputs given: tars, Parquet files, or folders of photos")
    from shamisa_cli.sharding import plan, run

    folder = Folder(asked.out)
    loading = {name: value for name, value in options.items() if value is not None}
    if Path(loading["model"]).is_dir():
        loading["model"] = str(Path(loading["model"]).resolve())
    engine = _open_engine(asked, workers, loading["device"])
    scorer = load_scorer({**loading, "device": "cpu", "workers": 1}, quiet, make)
    request = plan.Asked(asked.image_column, asked.keep, asked.embeddings, asked.shard_size)
    with flags_for(*_INPUT_OPTIONS):
        manifest = plan.open_run(folder, paths, scorer, request, loading)
        shards = run.share_of(manifest.shards(folder), asked.job)
    del scorer  # workers have their own
    folder.sweep()
    todo = run.unfinished(folder, shards)
    prepare = run.preparation(manifest, folder, loading, make)
    outcomes = run.run_shards(engine, prepare, folder, todo, asked.attempts)
    _follow(outcomes, len(shards), len(todo), asked.out, quiet)


def _open_engine(asked: ShardRequest, workers: int | None, device: str) -> Engine:
    from shamisa_cli.engines.registry import open_engine

    if workers is None and asked.engine == "processes":
        from shamisa_cli.encoders.precision import choose_device

        workers = None if choose_device(device).type == "cpu" else 1
    with flags_for(*_ENGINE_OPTIONS):
        return open_engine(
            asked.engine,
            workers=workers,
            address=asked.address,
            gpus_per_task=asked.gpus_per_task,
        )


def _follow(
    outcomes: Iterator[Outcome], all_of_them: int, todo: int, out: str, quiet: bool
) -> None:
    """Show how far the run is, then what came of it; exit with 1 if anything failed."""
    from shamisa_cli.progress import progress_bar

    tally = Tally()
    try:
        with (
            progress_bar(all_of_them, unit="shard", initial=all_of_them - todo, quiet=quiet) as bar,
            _ticking(bar),
        ):
            for outcome in outcomes:
                tally.add(outcome)
                bar.set_postfix_str(tally.note(), refresh=False)
                bar.update(1 if outcome.final else 0)
    except (KeyboardInterrupt, ShamisaError):
        click.echo("stopped; finished shards are kept, go on with the same command", err=True)
        raise
    failed = tally.failed or tally.failed_shards
    if failed or not quiet:
        click.echo(tally.summary(all_of_them - todo, out), err=True)
    if failed:
        sys.exit(1)


class Tally:
    """What came of the shards of a run so far. State: counts."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.photos = self.failed = self.shards = self.failed_shards = 0
        self._clock, self._started = clock, clock()

    def add(self, outcome: Outcome) -> None:
        """Count an outcome; why a shard failed is told."""
        if outcome.counts is not None:
            self.shards += 1
            self.photos += outcome.counts.photos
            self.failed += outcome.counts.failed
            return
        self.failed_shards += outcome.final
        then = "given up" if outcome.final else "to be tried again"
        tell(f"{outcome.shard.path} failed, {then}: {outcome.error}")

    def note(self) -> str:
        """What a line of progress ends with."""
        failed = f", {self.failed} failed" if self.failed else ""
        shards = f", {self.failed_shards} shards failed" if self.failed_shards else ""
        return f"{self.photos} photos, {self._rate():.1f} photos/s{failed}{shards}"

    def summary(self, there: int, out: str) -> str:
        """The last line."""
        parts = [f"{self.photos - self.failed} scored", f"{self.failed} failed"]
        parts.append(f"{self.shards} shards done")
        parts += [f"{self.failed_shards} shards failed"] if self.failed_shards else []
        parts += [f"{there} already there"] if there else []
        seconds = self._clock() - self._started
        again = "; the same command tries the failed ones again" if self.failed_shards else ""
        return (
            f"{', '.join(parts)} in {seconds:.1f} s ({self._rate():.1f} photos/s); "
            f"rows in {out}{again}"
        )

    def _rate(self) -> float:
        return self.photos / max(self._clock() - self._started, 1e-9)


@contextmanager
def _ticking(bar: Any) -> Iterator[None]:
    """Let a log have its line a minute while no shard ends."""
    ended = threading.Event()

    def tick() -> None:
        while not ended.wait(_TICK):
            bar.update(0)

    ticker = threading.Thread(target=tick, daemon=True)
    ticker.start()
    try:
        yield
    finally:
        ended.set()
        ticker.join()


def _tell_status(folder: Folder) -> None:
    """Print how far the run in ``folder`` is; exit with 1 if anything failed."""
    from tqdm import tqdm

    from shamisa_cli.sharding.run import read_status

    status = read_status(folder)
    share = status.done / status.shards if status.shards else 1.0
    click.echo(f"shards  {status.done} of {status.shards} done ({share:.0%})")
    click.echo(f"photos  {status.photos - status.failed} scored, {status.failed} failed")
    if status.pace is not None and status.done < status.shards:
        left, idle = (tqdm.format_interval(each) for each in (status.pace.left, status.pace.idle))
        click.echo(f"pace    {status.pace.rate:.1f} photos/s, {left} left; last part {idle} ago")
    for shard, error in status.errors.items():
        click.echo(f"failed  {shard}: {error}")
    if status.failed or status.errors:
        sys.exit(1)
