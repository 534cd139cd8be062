"""``shamisa cull``: the keepers of many photos, listed, linked, copied or moved."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shamisa_cli.commands.culled import Culled, LookClose, undo_command
from shamisa_cli.commands.scorer import load_scorer
from shamisa_cli.commands.shared import (
    FILE,
    FOLDER,
    device_option,
    flags_for,
    follow_links_option,
    head_option,
    model_option,
    option_group,
    recursive_option,
)
from shamisa_cli.commands.surveyed import close_looks, from_rows, photos_to_cull, score_all
from shamisa_cli.errors import UsageError

if TYPE_CHECKING:
    from shamisa_cli.culling.choice import Rule
    from shamisa_cli.culling.files import How
    from shamisa_cli.culling.survey import Survey

HOW = ("link", "copy", "move", "list")


class FiniteRange(click.FloatRange):
    """Numbers of a range; neither nan, which is never out of one, nor inf."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{number} is not a finite number.", param, ctx)
        return number


rule_options = option_group(
    "rule",
    dict,
    click.option("--best", metavar="N|P%", help="Keep so many photos, or so many percent."),
    click.option(
        "--min", "least", type=FiniteRange(0, 100), metavar="SCORE", help="Keep from here on."
    ),
    click.option("--per-burst", type=click.IntRange(1), metavar="N", help="Keep N of each burst."),
)
how_options = option_group(
    "hows",
    dict,
    click.option("--link", is_flag=True, help="Make symbolic links to the keepers in FOLDER."),
    click.option("--copy", is_flag=True, help="Copy the keepers into FOLDER."),
    click.option("--move", is_flag=True, help="Move them, with a file to undo it."),
    click.option("--list", is_flag=True, help="Print the keepers' paths and nothing else."),
)
model_options = option_group(
    "options",  # keywords of scoring.load, and keep
    dict,
    model_option,
    head_option,
    device_option,
    click.option("--workers", type=click.IntRange(0), help="Threads.  [default: the cores]"),
    click.option("--features-cache", "keep", type=FOLDER, help="Keep features for the next run."),
)


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(readable=False))
@rule_options
@click.option("--into", type=FOLDER, metavar="FOLDER", help="Where keepers go.")
@how_options
@click.option("--yes", is_flag=True, help="Do it; without, only show what would be done.")
@click.option("--undo", type=FILE, metavar="FILE", help="Put back what a --move has moved.")
@click.option("--null", "-0", is_flag=True, help="--list ends paths in NUL, for xargs -0.")
@click.option("--rows", type=FILE, help="Take the scores from a file that score wrote.")
@click.option(
    "--gap",
    type=FiniteRange(0),
    metavar="S",
    help="Seconds between two photos of a burst, at most.  [default: 10]",
)
@click.option("--close-ups", is_flag=True, help="In bursts, look at photos at full size too.")
@model_options
@recursive_option
@follow_links_option
@click.option("--quiet", is_flag=True, help="No progress and no remarks.")
def cull(
    paths: tuple[str, ...],
    rule: dict[str, Any],
    into: Path | None,
    hows: dict[str, bool],
    yes: bool,
    undo: Path | None,
    null: bool,
    rows: Path | None,
    gap: float | None,
    close_ups: bool,
    options: dict[str, Any],
    recursive: bool,
    follow_links: bool,
    quiet: bool,
) -> None:
    """Keep the best photos: choose them by score and burst; list, link, copy or move them.

    Nothing is done without --yes. Nothing is ever overwritten. Brackets, panoramas and focus
    stacks are kept whole. A photo's RAW file and sidecars go where it goes.

    \b
    shamisa cull photos --per-burst 1
    shamisa cull photos --best 30% --into keepers --copy --yes
    shamisa cull photos --min 60 --list
    """
    if undo is not None:
        if paths or into or yes or any((*hows.values(), *rule.values())):
            raise UsageError("--undo FILE stands alone: it puts back what FILE says was moved")
        return _undo(undo, quiet)
    made = _rule(rule)
    how = _how(hows, into, yes, null)
    if not paths and rows is None:
        raise UsageError("no photos given: shamisa cull PHOTO_OR_FOLDER … --best 30%")
    if close_ups and made.per_burst is None:
        raise UsageError("--close-ups ranks the photos of bursts: add --per-burst 1")
    asked = {"paths": [os.path.abspath(path) for path in paths], **rule, "gap": gap}  # noqa: PTH100
    asked |= {"close_ups": True} if close_ups else {}
    asked |= {"model": options["model"], "head": options["head"], "rows": str(rows or "")}
    if into and how == "move" and _earlier_moves(into, asked, yes, quiet):
        return None
    photos = photos_to_cull(paths, into, quiet, recursive=recursive, follow_links=follow_links)
    found, look_close = _survey(
        rows, paths, photos, into, options, close_ups=close_ups, quiet=quiet
    )
    culled = Culled.of(found, made, gap, quiet, look_close)
    return _act(culled, how, paths or found.paths, into, asked, yes, null, quiet)


def _survey(
    rows: Path | None,
    paths: Sequence[str],
    photos: list[str],
    into: Path | None,
    options: dict[str, Any],
    *,
    close_ups: bool,
    quiet: bool,
) -> tuple[Survey, LookClose | None]:
    """Scores from rows or of now, and what looks at photos close up, if that is asked for."""
    keep = options.pop("keep")
    read = from_rows(rows, paths, photos, into, quiet) if rows else None
    if read and not close_ups:
        return read, None
    scorer = load_scorer(options, quiet=True)
    found = read or score_all(photos, scorer, keep, quiet)
    return found, close_looks(scorer, quiet) if close_ups else None


def _act(
    culled: Culled,
    how: str | None,
    asked: Sequence[str],
    into: Path | None,
    record: dict[str, Any],
    yes: bool,
    null: bool,
    quiet: bool,
) -> None:
    """Show, list or do what was chosen."""
    from shamisa_cli.culling.plan import common_root, make_plan

    if how == "list":
        culled.list_keepers(null=null)
        culled.tell_failed()
    elif into is None or how is None:
        culled.show()
        culled.tell(quiet, "add --list, or --into FOLDER and one of --link, --copy and --move")
        culled.tell_failed()
    else:
        keepers = culled.keepers()
        plan = make_plan(keepers, common_root(asked), into, _as_how(how))
        if yes:
            culled.do(plan, into, record, quiet)
        else:
            culled.show()
            culled.tell_plan(plan, into, quiet)
        culled.tell_failed()
        culled.tell_left(plan.left)
    if culled.incomplete:
        sys.exit(1)


def _rule(given: dict[str, Any]) -> Rule:
    from shamisa_cli.culling.choice import Rule, parse_best

    if all(value is None for value in given.values()):
        raise UsageError("what makes a keeper? Give --best 30%, --min 60 or --per-burst 1")
    with flags_for("best"):
        best, share = parse_best(given["best"]) if given["best"] is not None else (None, False)
    return Rule(best, share, given["least"], given["per_burst"])


def _how(hows: dict[str, bool], into: Path | None, yes: bool, null: bool) -> str | None:
    """The one action that was asked for, or None."""
    given = [how for how in HOW if hows[how]]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(f'--{how}' for how in given)}: give one of them")
    how = given[0] if given else None
    if how == "list" and into:
        raise UsageError("--list prints paths and writes nothing; leave --into out")
    if how in ("link", "copy", "move") and into is None:
        raise UsageError(f"--{how} needs the folder where keepers go: --into FOLDER")
    if null and how != "list":
        raise UsageError("--null is for --list")
    if yes and how in (None, "list"):
        raise UsageError("--yes needs what to do: --into FOLDER with --link, --copy or --move")
    return how


def _as_how(how: str) -> How:
    return "link" if how == "link" else "copy" if how == "copy" else "move"


def _earlier_moves(into: Path, asked: dict[str, Any], yes: bool, quiet: bool) -> bool:
    """Whether a run that was stopped in its moves is all there was to do; it is then finished."""
    from shamisa_cli.commands.culled import move_all, only_one, tell_left
    from shamisa_cli.culling.journal import journals

    found = [journal for journal in journals(into) if journal.state != "undone"]
    begun = [journal for journal in found if journal.state == "begun"]
    for journal in begun:
        if journal.asked != asked:
            raise UsageError(
                f"{into}: a run that moved photos there was stopped. Give its command again, or "
                f"put them back: {undo_command(journal.path)}"
            )
    if begun and not yes:
        click.echo(f"{into}: a run was stopped; with --yes it goes on, as it began", err=True)
        return True
    if begun:
        click.echo(f"going on with {begun[-1].path}, which was stopped", err=True)
        with only_one(into):
            left = move_all(begun[-1], quiet)
        tell_left(left)
        if left:
            sys.exit(1)
    elif found and not quiet:
        click.echo(
            f"an earlier run moved photos into {into}; what is left is culled now. To choose among "
            f"all again, first: {undo_command(found[-1].path)}",
            err=True,
        )
    return bool(begun)


def _undo(path: Path, quiet: bool) -> None:
    from shamisa_cli.commands.culled import only_one, tell_left
    from shamisa_cli.culling.journal import read_journal, undo
    from shamisa_cli.progress import progress_bar

    journal = read_journal(path)
    with only_one(path.parent), progress_bar(len(journal.moves), unit="file", quiet=quiet) as bar:
        back, left = undo(journal, lambda move: bar.update())
    if not quiet:
        click.echo(f"{back} files put back", err=True)
    tell_left(left)
    if left:
        sys.exit(1)
