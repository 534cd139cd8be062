"""``shamisa report``: one page to look through the photos of a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shamisa_cli.commands.limits import limit_options
from shamisa_cli.commands.shared import FILE, check_files, command, overwrite_option
from shamisa_cli.errors import UsageError

if TYPE_CHECKING:
    from shamisa_cli.scoring import Score
    from shamisa_cli.scoring.limits import Limits


@command()
@click.argument("rows", type=FILE)
@click.option("--out", type=FILE, default="report.html", help="The page to write.")
@click.option(
    "--workers", type=click.IntRange(0), help="Threads that read photos.  [default: the cores]"
)
@limit_options
@overwrite_option
@click.option("--quiet", is_flag=True, help="No progress, and no summary.")
def report(
    rows: Path, out: Path, limits: Limits, workers: int | None, overwrite: bool, quiet: bool
) -> None:
    """Make a page to look through scored photos, best and worst first.

    ROWS is a file that shamisa score wrote with --csv, --json or --jsonl. Photos are found by the
    paths in it, from the current folder or else from the folder of ROWS. The page opens in any
    browser, offline. From 500 photos on, their thumbnails are in a folder beside it.

    \b
    shamisa score photos/ --csv rows.csv
    shamisa report rows.csv --out report.html
    """
    from shamisa_cli.reporting.rows import read_report_rows

    open_report(out, overwrite)
    found = read_report_rows(rows)
    make_report(found, out, limits, photos_beside=rows.parent, workers=workers, quiet=quiet)


def open_report(page: Path | None, overwrite: bool) -> list[Score] | None:
    """A list for the rows that ``page`` is to show; None if there is to be no page.

    One that cannot be written, or must not be replaced, is refused; other runs are kept from it.
    """
    from shamisa_cli.files import locked
    from shamisa_cli.reporting.keeping import check_folder

    if page is None:
        return None
    if page.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"{page}: a report is a page; give it a name that ends in .html")
    check_files(page, overwrite=overwrite)
    check_folder(page)
    click.get_current_context().with_resource(locked(page))
    return []


def make_report(
    rows: Sequence[Score],
    page: Path,
    limits: Limits,
    map_of: Callable[[str], Path | None] = lambda path: None,
    workers: int | None = None,
    *,
    photos_beside: Path | None = None,
    quiet: bool = False,
) -> None:
    """Write ``page`` on ``rows`` within ``limits`` and failed ones, with progress on stderr.

    ``map_of`` gives the map of the photo at a path, if there is one.
    """
    from shamisa_cli.progress import progress_bar
    from shamisa_cli.reporting import write_report
    from shamisa_cli.scoring.limits import shown_rows

    shown = shown_rows(rows, limits)
    if limits:
        shown += [row for row in rows if row.failed]
    with progress_bar(len(shown), "report", quiet=quiet) as bar:
        unseen = write_report(
            shown,
            page,
            photos_beside=photos_beside,
            map_of=lambda row: map_of(row.path),
            workers=workers,
            step=bar.update,
        )
    if not quiet:
        without = f", {unseen} without a picture" if unseen else ""
        click.echo(f"report of {len(shown)} photos{without} in {page}", err=True)
