"""What ``shamisa cull`` shows, and how it acts on what was chosen."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import click

from shamisa_cli.errors import UsageError

if TYPE_CHECKING:
    from shamisa_cli.culling.bursts import Group
    from shamisa_cli.culling.choice import Choice, Rule
    from shamisa_cli.culling.frames import Look
    from shamisa_cli.culling.journal import Journal
    from shamisa_cli.culling.plan import Plan
    from shamisa_cli.culling.survey import Survey

LookClose = Callable[[Sequence[str]], "list[float | None]"]
"""How good each of some photos looks close up; None for one that cannot be read."""

DONE = {"link": "linked", "copy": "copied", "move": "moved"}
HEADER = f"{'':>6}  {'score':>6}  {'group':>5}  {'why':<32}  path"


@dataclass
class Culled:
    """Photos, groups and choices. State: whether anything was left undone."""

    found: Survey
    groups: list[Group]
    choices: list[Choice]
    incomplete: bool = False

    @classmethod
    def of(
        cls,
        found: Survey,
        rule: Rule,
        gap: float | None,
        quiet: bool,
        look_close: LookClose | None = None,
    ) -> Culled:
        """Bursts and series found, and keepers chosen; those of bursts by close-ups too."""
        from shamisa_cli.culling.bursts import GAP, find_groups, runs_in_time
        from shamisa_cli.culling.choice import choose
        from shamisa_cli.culling.frames import look_at
        from shamisa_cli.imaging.decode import MAX_PIXELS
        from shamisa_cli.progress import progress_bar

        frames, within = found.frames, GAP if gap is None else gap
        total = sum(len(run) for run in runs_in_time(frames, within))
        with progress_bar(total, "scenes", quiet=quiet or not total) as bar:

            def look(path: str) -> Look | None:
                bar.update()
                return look_at(path, MAX_PIXELS)

            groups = find_groups(frames, look, within, workers=min(8, os.cpu_count() or 1))
        names, scores = [frame.path for frame in frames], [frame.score for frame in frames]
        near: dict[int, float] = {}
        if look_close:
            members = sorted({n for g in groups if g.kind == "burst" for n in g.members})
            seen = zip(members, look_close([names[n] for n in members]), strict=True)
            near = {n: value for n, value in seen if value is not None}
        return cls(found, groups, choose(names, scores, groups, rule, near))

    def keepers(self) -> list[str]:
        """Paths of the photos that are kept."""
        pairs = zip(self.found.frames, self.choices, strict=True)
        return [frame.path for frame, choice in pairs if choice.keep]

    def show(self) -> None:
        """The table: groups together, in the order of their first photo."""
        first: dict[int, int] = {}
        for n, choice in enumerate(self.choices):
            first.setdefault(choice.group or -n - 1, n)
        order = sorted(
            range(len(self.choices)), key=lambda n: (first[self.choices[n].group or -n - 1], n)
        )
        if sys.stdout.isatty():
            _print(HEADER)
        for n in order:
            _print(self._line(n))

    def _line(self, n: int) -> str:
        from shamisa_cli.scoring.score import printable

        frame, choice = self.found.frames[n], self.choices[n]
        word, group = "keep" if choice.keep else "reject", str(choice.group or "")
        path = printable(frame.path)
        if sys.stdout.isatty():
            return f"{word:>6}  {frame.score:6.2f}  {group:>5}  {choice.reason:<32}  {path}"
        return "\t".join((word, f"{frame.score:.4f}", group or "-", choice.reason, path))

    def list_keepers(self, *, null: bool) -> None:
        """The keepers' paths on standard output, byte for byte."""
        keepers, end = self.keepers(), "\0" if null else "\n"
        _put("".join(path + end for path in keepers))
        broken = sum("\n" in path for path in keepers)
        if broken and not null:
            click.echo(f"{broken} paths have line breaks in them; use -0", err=True)

    def tell(self, quiet: bool, what_next: str) -> None:
        """How many are kept, which groups there are, and what to do next."""
        if quiet:
            return
        counts = dict.fromkeys(("burst", "bracket", "panorama", "focus stack"), 0)
        for group in self.groups:
            counts[group.kind] += 1
        kinds = [f"{n} {kind}{'s' if n > 1 else ''}" for kind, n in counts.items() if n]
        seen = f" ({', '.join(kinds)})" if kinds else ""
        kept = sum(choice.keep for choice in self.choices)
        click.echo(f"{kept} of {len(self.choices)} photos are keepers{seen}", err=True)
        click.echo(f"nothing was done: {what_next}", err=True)

    def tell_plan(self, plan: Plan, into: Path, quiet: bool) -> None:
        """What ``--yes`` would do."""
        there = f"; {plan.done} are there already" if plan.done else ""
        folder = click.format_filename(str(into))
        self.tell(
            quiet,
            f"add --yes to {plan.how} {_count(plan)} into {folder}{there}",
        )

    def do(self, plan: Plan, into: Path, record: dict[str, Any], quiet: bool) -> None:
        """Carry out the plan."""
        from shamisa_cli.culling.journal import write_journal
        from shamisa_cli.files import writing

        undo = ""
        with only_one(into):
            if plan.how != "move":
                _put_all(plan, quiet)
            elif plan.transfers:
                with writing(into):
                    journal = write_journal(into, record, plan.transfers)
                undo = f"; to undo: {undo_command(journal.path)}"
                plan.left.extend(move_all(journal, quiet))
        if not quiet:
            there = f", {plan.done} were there already" if plan.done else ""
            folder = click.format_filename(str(into))
            click.echo(
                f"{_count(plan)} {DONE[plan.how]} into {folder}{there}{undo}",
                err=True,
            )

    def tell_failed(self) -> None:
        """The photos that could not be scored, which stay where they are."""
        from shamisa_cli.scoring.score import printable

        for row in self.found.failed:
            click.echo(f"not culled: {printable(row.path)}: {row.error}", err=True)
        self.incomplete |= bool(self.found.failed)

    def tell_left(self, left: Sequence[tuple[str, str]]) -> None:
        """The files that stay where they are, and why."""
        tell_left(left)
        self.incomplete |= bool(left)


def undo_command(journal: Path) -> str:
    """What to give to a shell to put back what the undo file ``journal`` holds."""
    return f"shamisa cull --undo {quote(click.format_filename(str(journal)))}"


def tell_left(left: Sequence[tuple[str, str]]) -> None:
    """Name files that stay where they are, and why."""
    from shamisa_cli.scoring.score import printable

    for path, why in left:
        click.echo(f"left where it is: {printable(path)}: {printable(why)}", err=True)


def move_all(journal: Journal, quiet: bool) -> list[tuple[str, str]]:
    """Do the moves of an undo file that are not done yet; those that cannot be, and why."""
    from shamisa_cli.culling.journal import carry_out
    from shamisa_cli.progress import progress_bar

    with progress_bar(len(journal.moves), unit="file", quiet=quiet) as bar:
        return carry_out(journal, lambda move: bar.update())


@contextmanager
def only_one(into: Path) -> Iterator[None]:
    """Keep other runs from working in ``into`` meanwhile."""
    from shamisa_cli.culling.files import clear_parts
    from shamisa_cli.files import locked, writing

    with writing(into):
        into.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(into / "cull"))
        except UsageError as error:
            if "another run" not in str(error):
                raise
            raise UsageError(f"{into}: another run is at work there; wait for its end") from error
        stack.enter_context(writing(into))
        clear_parts(into)
        yield


def _put_all(plan: Plan, quiet: bool) -> None:
    from shamisa_cli.culling.files import put
    from shamisa_cli.culling.journal import refusals
    from shamisa_cli.progress import progress_bar

    with progress_bar(len(plan.transfers), unit="file", quiet=quiet) as bar:
        for transfer in plan.transfers:
            with refusals(f"{transfer.source} to {transfer.target}"):
                put(Path(transfer.source), Path(transfer.target), plan.how)
            bar.update()


def _count(plan: Plan) -> str:
    """How many photos, and files beside them."""
    more = len(plan.transfers) - plan.photos
    photos = f"{plan.photos} photo{'' if plan.photos == 1 else 's'}"
    if not more:
        return photos
    return f"{photos} and {more} file{' that belongs' if more == 1 else 's that belong'} to them"


def _print(line: str) -> None:
    _put(line + "\n")


def _put(text: str) -> None:
    click.echo(text.encode("utf-8", "surrogateescape"), nl=False)
