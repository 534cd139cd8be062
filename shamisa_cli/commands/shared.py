"""What several commands share: options, and messages about them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from shamisa_cli.errors import UsageError

FILE = click.Path(path_type=Path, dir_okay=False)
FOLDER = click.Path(path_type=Path, file_okay=False)
EXISTING = click.Path(path_type=Path, exists=True)


@contextmanager
def flags_for(*parameters: str) -> Iterator[None]:
    """Write flags where a UsageError names ``parameters``: --short-side for short_side."""
    try:
        yield
    except UsageError as error:
        names = rf"\b({'|'.join(parameters)})\b"
        message = re.sub(names, lambda name: f"--{name[0].replace('_', '-')}", str(error))
        raise type(error)(message) from error
