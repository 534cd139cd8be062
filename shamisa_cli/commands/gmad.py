"""``shamisa gmad``: two models attack each other with pairs of pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shamisa_cli.commands.completion import complete_model
from shamisa_cli.commands.shared import (
    FOLDER,
    PassedBy,
    Skipped,
    check_replaceable,
    command,
    device_option,
    follow_links_option,
    option_group,
    overwrite_option,
    seed_option,
)
from shamisa_cli.errors import UsageError, WeightsError

if TYPE_CHECKING:
    from shamisa_cli.experiments.gmad_pool import Pool
    from shamisa_cli.experiments.gmad_scores import Competitor
    from shamisa_cli.experiments.gmad_sheets import Attack

SHEETS = ("a-attacks-b.png", "b-attacks-a.png")
TABLE = "pairs.csv"

source_options = option_group(
    "source",
    dict,
    click.option("--photos", type=FOLDER, help="Good photos, which are distorted for the pool."),
    click.option("--pool", "folder", type=FOLDER, help="A ready pool, in place of --photos."),
    click.option(
        "--sample", type=click.IntRange(1), default=20, help="So many of --photos, at random."
    ),
    click.option(
        "--short-side",
        type=click.IntRange(128),
        default=512,
        metavar="PX",
        help="To which --photos are shrunk.",
    ),
    seed_option,
    follow_links_option,
)
pair_options = option_group(
    "how",
    dict,
    click.option("--levels", type=click.IntRange(1), default=6, help="Levels of the defender."),
    click.option(
        "--tolerance",
        type=click.FloatRange(0),
        default=0.05,
        help="What the defender calls equal, in its standard deviations.",
    ),
    click.option(
        "--same-photo", is_flag=True, help="Only pairs of one photo, which MDSI compares."
    ),
)


@command()
@click.argument("first", metavar="A", shell_complete=complete_model)
@click.argument("second", metavar="B", shell_complete=complete_model)
@source_options
@click.option("--out", type=FOLDER, required=True, help="Folder for the sheets and pairs.csv.")
@click.option("--head-a", help="Head of A.  [default: the model's own]")
@click.option("--head-b", help="Head of B.  [default: the model's own]")
@pair_options
@device_option
@click.option("--workers", type=click.IntRange(0), help="Threads that score.  [default: the cores]")
@overwrite_option
@click.option("--quiet", is_flag=True, help="No progress bar.")
def gmad(
    first: str,
    second: str,
    source: dict[str, Any],
    out: Path,
    head_a: str | None,
    head_b: str | None,
    how: dict[str, Any],
    device: str,
    workers: int | None,
    overwrite: bool,
    quiet: bool,
) -> None:
    """Let two models attack each other: pairs that one calls equal and the other tells far apart.

    A and B are models, or CSV files (path,score) of somebody else's scores for a --pool. The pool
    of --photos is each photo under 24 distortions at five levels. Look at the sheets: where the
    two pictures of a pair differ in quality, the defender is wrong, else the attacker.

    \b
    shamisa gmad default fast --photos photos/ --out gmad
    shamisa gmad default default --head-b mine --photos photos/ --out gmad
    shamisa gmad fast theirs.csv --pool waterloo/ --out gmad
    """
    _check(source, out, (first, second), (head_a, head_b), overwrite)

    from shamisa_cli.experiments.gmad_scores import score_pool
    from shamisa_cli.files import writing
    from shamisa_cli.progress import progress_bar

    skipped = Skipped()
    pool, competitors = _open((first, second), (head_a, head_b), source, device, workers)
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
    with progress_bar(pool.count, unit="picture", quiet=quiet) as bar:
        scored = score_pool(pool, competitors, skipped, bar.update)
    names, values = [each.name for each in competitors], (scored.first, scored.second)
    attacks = [
        _attack(pool, scored.pictures, names[i], names[1 - i], values[i], values[1 - i], how)
        for i in (0, 1)
    ]
    _write(attacks, pool, out)
    skipped.tell("in the pool")


def _check(
    source: dict[str, Any],
    out: Path,
    names: tuple[str, str],
    heads: tuple[str | None, str | None],
    overwrite: bool,
) -> None:
    """Refuse what does not go together, and files that must not be replaced."""
    if bool(source["photos"]) == bool(source["folder"]):
        raise UsageError(
            "which pictures? Give --photos FOLDER, whose photos are distorted, or --pool FOLDER, "
            "whose pictures are used as they are: one of these"
        )
    for name, head, flag in zip(names, heads, ("--head-a", "--head-b"), strict=True):
        if _is_table(name) and source["photos"]:
            raise UsageError(
                f"{name}: a table has no scores for pictures that are yet to be made; give the "
                "folder of its pictures by --pool"
            )
        if _is_table(name) and head:
            raise UsageError(f"{flag} {head}: {name} is a table of scores, and has no head")
    for file in (*SHEETS, TABLE):
        check_replaceable(out / file, overwrite)


def _is_table(name: str) -> bool:
    return name.casefold().endswith(".csv")


def _open(
    names: tuple[str, str],
    heads: tuple[str | None, str | None],
    source: dict[str, Any],
    device: str,
    workers: int | None,
) -> tuple[Pool, tuple[Competitor, Competitor]]:
    """The pool, and who competes."""
    from shamisa_cli.experiments.gmad_pool import MadePool, open_pool
    from shamisa_cli.experiments.gmad_scores import in_tables, load_models, load_one, read_table
    from shamisa_cli.imaging.paths import list_photos
    from shamisa_cli.ladders.ladder import draw

    passed_by = PassedBy()
    looked: dict[str, Any] = {"follow_links": source["follow_links"], "pass_by": passed_by}
    tables = [_is_table(name) for name in names]
    try:
        if source["photos"]:
            found = list_photos(source["photos"], **looked)
            passed_by.tell()
            if not found:
                raise UsageError(f"{source['photos']}: no photos there")
            drawn = draw(found, source["sample"], source["seed"])
            pool = MadePool(drawn, source["seed"], source["short_side"])
            return pool, load_models(names, heads, device, workers)
        ready = open_pool(source["folder"], **looked)
        passed_by.tell()
        if not any(tables):
            return ready, load_models(names, heads, device, workers)
        first, second = (
            read_table(Path(name).expanduser(), source["folder"], ready)
            if table
            else load_one(name, head, device, workers)
            for name, head, table in zip(names, heads, tables, strict=True)
        )
    except WeightsError as error:
        raise UsageError(str(error)) from error
    some = in_tables(ready, (first, second))
    if some.count < ready.count:
        missing = ready.count - some.count
        click.echo(f"{missing} of {ready.count} pictures have no score in a table", err=True)
    return some, (first, second)


def _attack(
    pool: Pool,
    pictures: Sequence[Any],
    attacker: str,
    defender: str,
    attacks: Any,
    defends: Any,
    how: dict[str, Any],
) -> Attack:
    from shamisa_cli.experiments.gmad import choose_pairs
    from shamisa_cli.experiments.gmad_pool import photo_numbers
    from shamisa_cli.experiments.gmad_sheets import Attack, damage_of_pairs

    groups = photo_numbers(pictures) if how["same_photo"] else None
    levels = choose_pairs(defends, attacks, how["levels"], how["tolerance"], groups)
    damage = damage_of_pairs(pool, pictures, levels)
    return Attack(attacker, defender, attacks, defends, pictures, levels, damage)


def _write(attacks: Sequence[Attack], pool: Pool, out: Path) -> None:
    """Print the table; write it with all that is known, and a sheet for each direction."""
    from shamisa_cli.evaluation.report import csv_text, text_table
    from shamisa_cli.experiments.gmad_sheets import (
        COLUMNS,
        attack_cells,
        draw_attack,
        pair_lines,
        summary_lines,
    )
    from shamisa_cli.files import write_text, writing
    from shamisa_cli.imaging.save import save_picture

    click.echo(text_table(attack_cells(attacks)))
    for line in summary_lines(attacks):
        click.echo(line)
    write_text(out / TABLE, csv_text([COLUMNS, *(each for a in attacks for each in pair_lines(a))]))
    for attack, name in zip(attacks, SHEETS, strict=True):
        with writing(out / name):
            save_picture(draw_attack(attack, pool), out / name)
    files = ", ".join((*SHEETS, TABLE))
    click.echo(f"{click.format_filename(out)}: {files}")
