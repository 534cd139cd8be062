"""``shamisa distort``: distorted copies of photos, with a record of what was done."""

from __future__ import annotations

import io
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

import click

from shamisa_cli.commands.completion import complete_distortion
from shamisa_cli.commands.shared import (
    EXISTING,
    FILE,
    PassedBy,
    check_replaceable,
    flags_for,
    follow_links_option,
    overwrite_option,
)
from shamisa_cli.errors import PhotoError, ShamisaError, UsageError, first_line

if TYPE_CHECKING:
    from shamisa_cli.distortions.copies import CopyWriter, Measure, Plan
    from shamisa_cli.distortions.sheets import SheetRows


@click.command()
@click.argument("photos", nargs=-1, required=True, metavar="PHOTO...", type=EXISTING)
@click.option("--out", type=click.Path(path_type=Path), help="Folder of copies and metadata.jsonl.")
@click.option(
    "--distortion",
    "names",
    multiple=True,
    shell_complete=complete_distortion,
    help="Only this one (may be repeated); mean_shift- is one sign of mean_shift.  [default: all]",
)
@click.option("--severity", type=click.FloatRange(0, 1), help="One severity, instead of a ladder.")
@click.option(
    "--levels", type=click.IntRange(2), default=5, show_default=True, help="Severities from 0 to 1."
)
@click.option("--compose", type=click.IntRange(1), help="So many random compositions, instead.")
@click.option(
    "--random",
    "singles",
    type=click.IntRange(1),
    help="So many copies by one random distortion each, instead.",
)
@click.option(
    "--labels", is_flag=True, help="Also labels.csv: a score for each copy, from MDSI; a dataset."
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option(
    "--sheet",
    type=FILE,
    help="Contact sheet of the first photo; with --compose, of up to 24 photos.",
)
@overwrite_option
@follow_links_option
def distort(
    photos: tuple[Path, ...],
    out: Path | None,
    names: tuple[str, ...],
    severity: float | None,
    levels: int,
    compose: int | None,
    singles: int | None,
    labels: bool,
    seed: int,
    sheet: Path | None,
    overwrite: bool,
    follow_links: bool,
) -> None:
    """Make distorted copies of each PHOTO (files or folders).

    Every distortion at five severities, like KADID-10k (130 copies, as two of the 24 have both
    signs), with --compose N random compositions of up to seven, as in pre-training, or with
    --random N one random distortion a copy. A line of metadata.jsonl for each copy has its
    functions in order, their severities and native values.
    """
    from shamisa_cli.distortions.copies import LABELS, CopyWriter
    from shamisa_cli.distortions.sheets import SheetRows

    if out is None and sheet is None:
        raise UsageError("nothing to make: give --out DIR, --sheet FILE, or both")
    if labels:
        if out is None:
            raise UsageError("--labels is a file beside the copies: give --out DIR too")
        check_replaceable(out / LABELS, overwrite)
    plan = _plan(names, severity, levels, compose, singles, seed)
    if sheet is not None:
        _check_sheet(sheet, out)
        check_replaceable(sheet, overwrite)
    found = _found(photos, follow_links)
    with flags_for("overwrite"):
        measure = _measure(found) if labels else None
        named = [name for _, name in found]
        writer = CopyWriter(out, seed, named, overwrite, measure) if out else None
    rows = SheetRows(plan, seed) if sheet is not None else None
    made, unread = _distort(found, plan, writer, rows)
    if sheet is not None and rows is not None and rows.rows:
        _save_sheet(rows, sheet)
    if writer is not None:
        copies = f"{made} copies of {len(found) - unread} photos, metadata.jsonl"
        click.echo(f"{click.format_filename(writer.folder)}: {copies}")
        if labels and made:
            _label(writer, {name.as_posix(): path for path, name in found})
    if unread:
        raise ShamisaError(f"{unread} of {len(found)} photos could not be read")


def _plan(
    names: tuple[str, ...],
    severity: float | None,
    levels: int,
    compose: int | None,
    singles: int | None,
    seed: int,
) -> Plan:
    from shamisa_cli.distortions.copies import ladder_plan, random_plan, single_plan

    if compose and singles:
        raise UsageError("--compose and --random are two kinds of copies; choose one")
    option = "--compose" if compose else "--random"
    if (compose or singles) and (names or severity is not None):
        raise UsageError(f"{option} draws distortions and severities; it takes neither as options")
    if compose:
        return random_plan(compose, seed)
    if singles:
        return single_plan(singles, seed)
    steps = [k / (levels - 1) for k in range(levels)] if severity is None else [severity]
    return ladder_plan(names, steps)


def _measure(photos: list[tuple[Path, PurePath]]) -> Measure:
    """MDSI, for a table of scores; refuses names that no such table can hold."""
    from shamisa_cli.ladders.extract import damage_of

    for path, _ in photos:
        try:
            str(path.resolve()).encode()
        except UnicodeEncodeError as error:
            raise UsageError(
                f"{path}: its name is not UTF-8, which a table of scores cannot hold; rename it, "
                "or leave out --labels"
            ) from error
    return lambda photo, copy: damage_of(photo, [copy]).item()


def _label(writer: CopyWriter, photos: dict[str, Path]) -> None:
    from shamisa_cli.distortions.copies import LABELS
    from shamisa_cli.ladders.labels import write_labels

    labels = writer.folder / LABELS
    rows = write_labels(labels, writer.metadata, photos)
    click.echo(f"{click.format_filename(labels)}: {rows} scores, of photos as they are too")


def _found(arguments: tuple[Path, ...], follow_links: bool) -> list[tuple[Path, PurePath]]:
    """(path, name) of files and of all photos in folders; a name is the path below the folder."""
    from shamisa_cli.imaging.paths import list_photos

    found: list[tuple[Path, PurePath]] = []
    passed_by = PassedBy()
    for argument in arguments:
        if not argument.is_dir():
            found.append((argument, PurePath(argument.name)))
            continue
        below = list_photos(argument, follow_links=follow_links, pass_by=passed_by)
        if not below:
            raise ShamisaError(f"{argument}: no photos there")
        found += [(path, path.relative_to(argument)) for path in below]
    passed_by.tell()
    return found


def _distort(
    photos: list[tuple[Path, PurePath]],
    plan: Plan,
    writer: CopyWriter | None,
    rows: SheetRows | None,
) -> tuple[int, int]:
    """Distort ``photos``; returns how many copies were written, and how many photos not read."""
    from shamisa_cli.imaging.decode import decode
    from shamisa_cli.progress import progress_bar, say_skipped

    made, unread = 0, 0
    with progress_bar(len(photos)) as bar:
        for path, name in photos:
            try:
                image = decode(path)
            except PhotoError as error:
                say_skipped(error)
                unread += 1
            else:
                if rows is not None:
                    rows.add(image, name)
                if writer is not None:
                    made += writer.write(image, name, plan)
            bar.update()
    return made, unread


def _save_sheet(rows: SheetRows, path: Path) -> None:
    from shamisa_cli.imaging.save import save_picture

    try:
        save_picture(rows.draw(), path)
    except (OSError, ValueError) as error:  # JPEG and WebP limit the sides, a disk its bytes
        raise ShamisaError(
            f"{path}: cannot be written ({first_line(error)}); "
            "check the disk, or choose a name that ends in .png"
        ) from error
    click.echo(f"{click.format_filename(path)}: contact sheet")


def _check_sheet(sheet: Path, out: Path | None) -> None:
    """Refuse a contact sheet that could not be written, before any copy is made."""
    from PIL import Image

    try:
        kind = Image.registered_extensions()[sheet.suffix.lower()]
        Image.new("RGB", (8, 8)).save(io.BytesIO(), kind)
    except (KeyError, OSError, ValueError) as error:
        raise UsageError(
            f"{sheet}: no kind of picture that can be written; choose a name that ends in .png"
        ) from error
    to_be_made = [] if out is None else [out.absolute(), *out.absolute().parents]
    folder = sheet.absolute().parent
    if not folder.is_dir() and folder not in to_be_made:
        raise UsageError(f"{sheet}: there is no folder {sheet.parent}; make it first")
