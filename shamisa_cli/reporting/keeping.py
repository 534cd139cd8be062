"""Where the pictures of a report are kept: inside the page, or in a folder beside it."""

from __future__ import annotations

import base64
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from shamisa_cli.errors import UsageError, system_reason
from shamisa_cli.files import FOLDER_MARK, MARK

Keep = Callable[[str, bytes], str]
"""Keeps a picture under a name, and gives the URL by which the page shows it."""

_OURS = re.compile(rf"\d+(-large)?\.webp|{re.escape(FOLDER_MARK)}")


def folder_beside(page: Path) -> Path:
    """The folder for the pictures of ``page``: ``report_files`` beside ``report.html``."""
    return page.with_name(f"{page.stem}_files")


def inside(name: str, content: bytes) -> str:
    """The picture as a data URI."""
    return f"data:image/webp;base64,{base64.b64encode(content).decode()}"


@contextmanager
def beside(page: Path) -> Iterator[Keep]:
    """Keep pictures in the folder beside ``page``, which takes its place whole, at the end.

    If something fails before, an older folder is as it was. One run at a time.
    """
    folder = folder_beside(page)
    part = folder.with_name(f".{folder.name}.part")
    old = folder.with_name(f".{folder.name}.old")

    def keep(name: str, content: bytes) -> str:
        (part / name).write_bytes(content)
        return quote(os.fsencode(f"{folder.name}/{name}"))

    for left in (part, old):  # by a run that was killed
        if (left / FOLDER_MARK).is_file():
            shutil.rmtree(left)
    part.mkdir()
    try:
        (part / FOLDER_MARK).write_text(f"{MARK}: pictures of {page.name}\n", "utf-8", "replace")
        yield keep
        check_folder(page)
        if folder.exists():
            folder.rename(old)
        part.rename(folder)
    finally:
        for each in (part, old):
            shutil.rmtree(each, ignore_errors=True)


def check_folder(page: Path) -> None:
    """Refuse a folder beside ``page`` that holds anything but pictures of ours.

    Raises
    ------
    UsageError
        that names the folder and what is in the way.
    """
    folder = folder_beside(page)
    try:
        names = sorted(each.name for each in folder.iterdir())
    except FileNotFoundError:
        return
    except OSError as error:
        raise UsageError(f"{folder}: cannot be listed: {system_reason(error)}") from error
    foreign = [name for name in names if not _OURS.fullmatch(name)]
    if names and (foreign or FOLDER_MARK not in names):
        raise UsageError(
            f"{folder}: is there, and holds {(foreign or names)[0]!r}, which shamisa did not make; "
            "the pictures of the report go there: choose another name for it, or move that away"
        )


def drop_folder(page: Path) -> None:
    """Remove the folder beside ``page``, of an earlier report, if there is one and it is ours."""
    with suppress(UsageError):
        check_folder(page)
        shutil.rmtree(folder_beside(page), ignore_errors=True)
