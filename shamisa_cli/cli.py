"""The click app: finds a command's module by its name, and turns our errors into plain messages."""

from __future__ import annotations

import gc
import importlib
import sys
from pathlib import Path
from typing import Any

import click

from shamisa_cli import __version__
from shamisa_cli.errors import ShamisaError, near_matches
from shamisa_cli.interrupts import INTERRUPTED, Interrupts, tell_interrupted
from shamisa_cli.streams import guard_streams

COMMANDS = (
    "score",
    "explain",
    "cull",
    "filter",
    "watch",
    "report",
    "serve",
    "demo",
    "distort",
    "pretrain",
    "probe",
    "fit",
    "fit-explain",
    "finetune",
    "join",
    "ladder",
    "gmad",
    "embed",
    "models",
    "pull",
    "push",
    "datasets",
    "graphs",
    "objectives",
    "ablations",
    "study",
    "backbones",
    "export",
)
"""One module of ``shamisa_cli.commands`` each, in the order of ``shamisa --help``."""

ARGUMENTS = "shamisa_cli.arguments"
"""Where a command's arguments are, in click's notes of a call."""

GARBAGE = 20_000
"""New objects after which Python looks for garbage; its own 700 slow the start by a tenth.

What imports of torch and timm make is no garbage, and would be looked through some hundred times.
"""


class CommandGroup(click.Group):
    """Commands are imported when they are asked for; none of them imports torch at its top."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        return getattr(importlib.import_module(f"shamisa_cli.commands.{name}"), name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            near = near_matches(args[0], COMMANDS)
            guess = f" Did you mean {' or '.join(near)}?" if near else ""
            ctx.fail(f"No such command {args[0]!r}.{guess}")
        ctx.meta[ARGUMENTS] = args
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.NoSuchOption as error:
            files = [
                a for a in ctx.meta.get(ARGUMENTS, ()) if a.startswith("-") and Path(a).exists()
            ]
            if not files:
                raise
            way = f" The file {files[0]} is meant? Write ./{files[0]}, or -- before all names."
            told, near = error.message + way, error.possibilities
            raise click.NoSuchOption(error.option_name, told, near, error.ctx) from error
        except ShamisaError as error:
            ctx.exit(_told(error))
        except KeyboardInterrupt:
            tell_interrupted()
            ctx.exit(INTERRUPTED)


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="shamisa")
def app() -> None:
    """How good do photos look? Scores them 0-100, with no reference picture (SHAMISA).

    \b
    shamisa demo                                 see it work, no photos needed
    shamisa score photos/*.jpg --csv out.csv     score your own
    shamisa pretrain --backbone resnet50         train an encoder on your photos
    shamisa probe --dataset koniq                measure it against human scores
    shamisa fit mine.csv --name mine             teach it your own scores
    """


def main() -> None:
    """Entry point of the ``shamisa`` script."""
    gc.set_threshold(GARBAGE)
    guard_streams()
    interrupts = Interrupts()
    try:
        app(prog_name="shamisa")
    except ShamisaError as error:  # outside of a command: --help into a full disk
        sys.exit(_told(error))
    except BaseException:
        if interrupts.times:  # some library made something else of it, or nothing
            sys.exit(INTERRUPTED)
        raise


def _told(error: ShamisaError) -> int:
    """The exit code of ``error``, whose message is printed."""
    click.echo(f"Error: {error}", err=True)
    return error.exit_code
