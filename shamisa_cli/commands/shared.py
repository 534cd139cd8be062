"""What several commands share: options, and messages about them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from shamisa_cli.errors import UsageError

F = TypeVar("F", bound=Callable[..., Any])

FILE = click.Path(path_type=Path, dir_okay=False)
FOLDER = click.Path(path_type=Path, file_okay=False)
EXISTING = click.Path(path_type=Path, exists=True)

_SOURCE_OPTIONS = (
    click.option("--features-cache", type=FOLDER, help="Keep features here, to go on from."),
    click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps."),
    click.option("--precision", default="auto", show_default=True, help="auto, fp32 or bf16."),
    click.option("--workers", type=click.IntRange(0), default=2, show_default=True),
    click.option("--quiet", is_flag=True, help="No progress bar."),
)


def source_options(command: F) -> F:
    """How features are made: the options of ``frozen_encoder.SourceOptions``."""
    for option in reversed(_SOURCE_OPTIONS):
        command = option(command)
    return command


@contextmanager
def flags_for(*parameters: str) -> Iterator[None]:
    """Write flags where a UsageError names ``parameters``: --short-side for short_side."""
    try:
        yield
    except UsageError as error:
        names = rf"\b({'|'.join(parameters)})\b"
        message = re.sub(names, lambda name: f"--{name[0].replace('_', '-')}", str(error))
        raise type(error)(message) from error
