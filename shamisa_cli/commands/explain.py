"""``shamisa explain``: what does a photo look like, and where does it look bad?"""

from __future__ import annotations

import sys
import textwrap
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shamisa_cli.commands.photo_paths import find_photos
from shamisa_cli.commands.shared import (
    FILE,
    check_files,
    device_option,
    follow_links_option,
    model_option,
    overwrite_option,
    recursive_option,
)
from shamisa_cli.errors import UsageError
from shamisa_cli.files import ListFile, is_device, locked, write_text, writing

if TYPE_CHECKING:
    from shamisa_cli.explaining import Explanation

PICTURES = (".png", ".jpg", ".jpeg", ".webp")
NUMBERS = (".npy", ".png")
ARRAY = (b"[\n", b",\n", b"\n]\n")
"""What stands before, between and after the items of a JSON array."""


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(readable=False))
@click.option("--out", type=FILE, help="Draw the map of one photo over it: .png, .jpg or .webp.")
@click.option("--points", type=FILE, help="Write the map of one photo as .npy, or a 16-bit .png.")
@click.option("--json", type=FILE, help="Write everything as one JSON array.")
@model_option
@device_option
@recursive_option
@follow_links_option
@overwrite_option
@click.option("--quiet", is_flag=True, help="No hints.")
def explain(
    paths: tuple[str, ...],
    out: Path | None,
    points: Path | None,
    json: Path | None,
    overwrite: bool,
    quiet: bool,
    model: str,
    device: str,
    **how: bool,
) -> None:
    """Say what each photo looks like, and where it looks good and bad.

    PATHS are photos, folders or patterns, as for shamisa score. Kinds of damage are those that
    the photo looks like: real damage is not what the model learned from. The map tells points that
    each place adds to the score or takes from it. For maps of many photos there is shamisa score
    --map. More in docs/explaining.md.

    \b
    shamisa explain photo.jpg --out explained.png

    Exit code: 0 all explained, 1 some failed, 2 wrong usage.
    """
    _check_endings(out, points)
    check_files(out, points, json, overwrite=overwrite)
    if json:
        click.get_current_context().with_resource(locked(json))
    photos = find_photos(paths, None, quiet, **how)
    if len(photos) > 1 and (out or points):
        raise UsageError(
            f"--out and --points take one photo, and there are {len(photos)}: give one, or use "
            "shamisa score --map FOLDER"
        )

    from shamisa_cli.explaining import load_explainer

    explainer = load_explainer(model, device=device)
    failed = 0
    with _JsonArray(json, len(photos)) if json else nullcontext() as array:
        for explanation in explainer.explain_many(photos):
            failed += explanation.score.failed
            click.echo("\n".join(_lines(explanation)), err=explanation.score.failed)
            if array:
                array.write(explanation)
            if not explanation.score.failed:
                _write(explanation, out, points)
    if failed:
        sys.exit(1)


def _check_endings(out: Path | None, points: Path | None) -> None:
    for path, endings, option in ((out, PICTURES, "--out"), (points, NUMBERS, "--points")):
        if path and path.suffix.lower() not in endings:
            raise UsageError(f"{path}: {option} writes {', '.join(endings)}; choose such a name")


def _lines(explanation: Explanation) -> list[str]:
    """What is printed of a photo."""
    from shamisa_cli.explaining.explainer import NOTHING
    from shamisa_cli.scoring.score import printable

    score, quality = explanation.score, explanation.quality
    name = printable(score.path)
    if quality is None:
        return [f"{name}: {score.error}"]
    off = "" if score.uncertainty is None else f" ± {score.uncertainty:.0f}"
    lines = [f"{name}: {score.score:.0f}{off}"]
    lines.append(f"  looks like: {score.looks_like or NOTHING}")
    worst, best = quality.extremes()
    lines.append(
        f"  worst {worst.where} ({worst.points:+.0f} points), best {best.where} "
        f"({best.points:+.0f}); {quality.left_over:+.0f} left over"
    )
    if score.note:
        lines.append(f"  note: {score.note}")
    return lines


def _write(explanation: Explanation, out: Path | None, points: Path | None) -> None:
    """The files of one photo."""
    from shamisa_cli.explaining.draw import save_map, write_points

    if out:
        with writing(out):
            save_map(explanation, out)
    if points:
        with writing(points):
            write_points(explanation.on_photo(), points)


class _JsonArray:
    """A file of explanations, one JSON array, which is whole after each of them.

    State: the open file. It is made with the first explanation; until then an older one stays. What
    goes to a device is kept, and written at the end.

    Parameters
    ----------
    path : of the file.
    total : photos of the run, to say how many are there if it is stopped.
    """

    def __init__(self, path: Path, total: int) -> None:
        self._path, self._total = path, total
        self._written = 0
        self._file: ListFile | None = None
        self._kept: list[bytes] | None = [] if is_device(path) else None

    def __enter__(self) -> _JsonArray:
        return self

    def write(self, explanation: Explanation) -> None:
        """Add an explanation; it is in the file then, or a ShamisaError says why."""
        import json

        text = textwrap.indent(json.dumps(explanation.to_mapping(), indent=2), "  ")
        content = text.encode()
        with writing(self._path):
            if self._kept is not None:
                self._kept.append(content)
            elif self._file:
                self._file.add(content)
            else:
                self._file = ListFile(self._path, ARRAY, [content])
        self._written += 1

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._file:
            self._file.close()
        if self._kept:
            start, between, end = ARRAY
            write_text(self._path, (start + between.join(self._kept) + end).decode())
        if kind and issubclass(kind, KeyboardInterrupt) and self._written:
            click.echo(f"{self._path}: has {self._written} of {self._total} photos", err=True)
