"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

FILE = click.Path(path_type=Path, dir_okay=False)
FOLDER = click.Path(path_type=Path, file_okay=False)

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
