"""``shamisa explain``: what does a photo look like, and where does it look bad?"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from shamisa_cli.explaining import Explanation

PICTURES = (".png", ".jpg", ".jpeg", ".webp")
NUMBERS = (".npy", ".png")


@click.command()
@click.argument("paths", nargs=-1, type=click.Path())
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
    photos = find_photos(paths, None, quiet, **how)
    if len(photos) > 1 and (out or points):
        raise UsageError(
            f"--out and --points take one photo, and there are {len(photos)}: give one, or use "
            "shamisa score --map FOLDER"
        )

    from shamisa_cli.explaining import load_explainer

    explainer = load_explainer(model, device=device)
    records: list[dict[str, Any]] = []
    failed = 0
    for explanation in explainer.explain_many(photos):
        failed += explanation.score.failed
        click.echo("\n".join(_lines(explanation)), err=explanation.score.failed)
        records.append(explanation.to_mapping())
        if not explanation.score.failed:
            _write(explanation, out, points)
    if json:
        _write_json(records, json)
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
    from shamisa_cli.files import writing

    if out:
        with writing(out):
            save_map(explanation, out)
    if points:
        with writing(points):
            write_points(explanation.on_photo(), points)


def _write_json(records: list[dict[str, Any]], path: Path) -> None:
    import json

    from shamisa_cli.files import write_text

    write_text(path, json.dumps(records, indent=2) + "\n")
