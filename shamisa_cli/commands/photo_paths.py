"""The photos that a command is given: paths, folders, patterns, and lists of these."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from typing import BinaryIO

import click

from shamisa_cli.commands.shared import PassedBy
from shamisa_cli.errors import UsageError


def listed_paths(from_file: BinaryIO | None, null: bool) -> list[str]:
    """The paths in a list: one a line, or with ``null`` each ended by a NUL."""
    if from_file is None:
        if null:
            raise UsageError("--null is for a list of paths: --from-file F, - for standard input")
        return []
    content = from_file.read()
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if wide:  # as PowerShell writes
        text = content.decode("utf-16", "replace")
    else:
        text = content.removeprefix(codecs.BOM_UTF8).decode("utf-8", "surrogateescape")
    if "\0" in text and not null:
        raise UsageError(f"{_name(from_file)}: has NULs, as find -print0 writes them; add -0")
    lines = text.split("\0") if null else [line.rstrip("\r") for line in text.split("\n")]
    return [line for line in lines if line]


def _name(file: BinaryIO) -> str:
    return getattr(file, "name", "<stdin>")


def find_photos(
    asked: Sequence[str], from_file: BinaryIO | None, quiet: bool, **how: bool
) -> list[str]:
    """The photos to score, in order; ``how`` folders are searched is as in :func:`expand_paths`.

    Of a photo that is written in two ways the first counts; one that is listed twice has two rows.
    A folder or list without any is told, and what folders have beside photos.
    """
    from shamisa_cli.imaging.paths import expand_paths
    from shamisa_cli.scoring.resume import photo_key

    if not asked:
        where = f"{_name(from_file)} is empty" if from_file else "no photos given"
        asks = f"shamisa {click.get_current_context().info_name} PHOTO_OR_FOLDER …"
        raise UsageError(f"{where}: {asks} (or see it work: shamisa demo)")
    photos: list[str] = []
    written: dict[str, str] = {}
    passed_by = PassedBy()
    for path in asked:
        found = list(expand_paths([path], pass_by=passed_by, **how))
        if not found:
            click.echo(f"{path}: no photos in this folder", err=True)
        photos += [each for each in found if written.setdefault(photo_key(each), each) == each]
    if not (photos and quiet):
        passed_by.tell()
    if not photos:
        raise UsageError("nothing to score")
    sharded = [each for each in photos if each.endswith((".tar", ".parquet")) or "://" in each]
    if sharded and click.get_current_context().info_name == "score":
        click.echo(
            f"{sharded[0]}: tars, Parquet files and URLs are scored with --out FOLDER, see "
            "docs/clusters.md",
            err=True,
        )
    return photos
