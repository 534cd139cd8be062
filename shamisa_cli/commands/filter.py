"""``shamisa filter``: which of many scored rows stay, without holding them in memory."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shamisa_cli.commands.shared import (
    FILE,
    check_files,
    command,
    flags_for,
    names_given,
    option_group,
    overwrite_option,
)

if TYPE_CHECKING:
    from shamisa_cli.filtering.choice import Choice
    from shamisa_cli.filtering.criteria import Criteria
    from shamisa_cli.sharding.storage import Folder


def _criteria(
    minimum: float | None,
    maximum: float | None,
    top: str | None,
    status: tuple[str, ...],
    quantile: tuple[str, ...],
) -> Criteria:
    from shamisa_cli.filtering.criteria import SCORED, Criteria, read_between, read_top

    with flags_for("min", "max", "top", "quantile"):
        return Criteria(
            minimum,
            maximum,
            read_top(top) if top is not None else None,
            status or SCORED,
            tuple(read_between(each) for each in quantile),
        )


criteria_options = option_group(
    "criteria",
    _criteria,
    click.option("--min", "minimum", type=float, metavar="X", help="Scores of X and above."),
    click.option("--max", "maximum", type=float, metavar="X", help="Scores of X and below."),
    click.option(
        "--top", metavar="N|P%", help="The best N, or P% of the rows that pass all other options."
    ),
    click.option(
        "--status",
        multiple=True,
        metavar="S,…",
        callback=names_given,
        help="ok, padded, clipped, failed: these alone.  [default: all but failed]",
    ),
    click.option(
        "--quantile",
        multiple=True,
        metavar="COLUMN:LOW-HIGH",
        help="Between two quantiles of a column: width:0.5-1 is the wider half.",
    ),
)


@command()
@click.argument("scores", nargs=-1, required=True)
@criteria_options
@click.option("--parquet", type=FILE, help="Write the rows as Parquet.")
@click.option("--csv", type=FILE, help="Write the rows as CSV.")
@click.option("--keys", type=FILE, help="Write a list of keys, one a line.")
@click.option("--npy", type=FILE, help="Write DataComp's subset file, sorted 128-bit uids.")
@click.option("--reshard", metavar="DIR", help="Write the tars again, without the other keys.")
@overwrite_option
@click.option("--quiet", is_flag=True, help="No progress, and no summary.")
def filter(
    scores: tuple[str, ...],
    criteria: Criteria,
    parquet: Path | None,
    csv: Path | None,
    keys: Path | None,
    npy: Path | None,
    reshard: str | None,
    overwrite: bool,
    quiet: bool,
) -> None:
    """Choose among scored photos, as many as there may be: memory does not grow with rows.

    SCORES are folders of score --out, or files of score --csv or --jsonl, or Parquet. They may be
    URLs such as s3://bucket/scores/. A row stays if it passes all options. Without an output it is
    only said how many would stay.

    \b
    shamisa filter scores/ --top 30% --npy subset.npy             DataComp's subset file
    shamisa filter scores/ --min 60 --quantile width:0.5-1 --parquet good.parquet
    shamisa filter scores.csv --status failed --keys again.txt    what to try again
    """
    from shamisa_cli.filtering.choice import choose
    from shamisa_cli.filtering.reshard import open_reshard
    from shamisa_cli.filtering.rows import open_rows
    from shamisa_cli.filtering.write import Targets, write_rows

    targets = Targets(parquet, csv, keys, npy)
    check_files(*targets.paths, overwrite=overwrite)
    rows = open_rows(scores)
    for run in rows.runs:
        if run.missing:
            click.echo(
                f"{run.source}: {run.missing} of {run.shards} shards have no part yet; their rows "
                "are missing",
                err=True,
            )
    choice = choose(rows, criteria)
    folder = open_reshard(reshard, choice) if reshard else None
    stayed, told = write_rows(choice, targets)
    if not quiet:
        for line in (*_summary(choice, stayed), *told):
            click.echo(line, err=True)
    if folder:
        _reshard(choice, folder, len(rows.names), quiet=quiet)


def _reshard(choice: Choice, folder: Folder, tars: int, *, quiet: bool) -> None:
    """Write tars into ``folder``, with progress on stderr."""
    from shamisa_cli.filtering.reshard import reshard
    from shamisa_cli.progress import progress_bar

    with progress_bar(tars, "reshard", unit="tar", quiet=quiet) as bar:
        done = reshard(choice, folder, bar.update)
    if not quiet:
        more = f", {done.earlier} there already" if done.earlier else ""
        more += f", {done.empty} of which nothing stays" if done.empty else ""
        click.echo(f"{folder.address}: {done.keys} keys in {done.tars} tars{more}", err=True)


def _summary(choice: Choice, stayed: int) -> list[str]:
    """How many rows there are, how many stay, and where the line is."""
    share = f" ({stayed / choice.total:.1%})" if choice.total else ""
    lines = [f"{stayed} of {choice.total} rows stay{share}; {choice.failed} have no score"]
    for between, (low, high) in zip(choice.criteria.quantiles, choice.bounds, strict=True):
        found = "no row has a value" if math.isnan(low) else f"from {low:g} to {high:g}"
        lines.append(f"{between.column}: {found}")
    if choice.cut:
        cut = choice.cut
        some = f"; of {cut.at} rows at just that, {cut.staying}" if cut.at > cut.staying else ""
        lines.append(f"score: {cut.score:g} and above{some}")
    return lines
