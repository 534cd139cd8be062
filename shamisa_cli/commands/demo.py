"""``shamisa demo``: see scores fall as damage rises; needs neither photos nor a network."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shamisa_cli.commands.shared import (
    FOLDER,
    check_replaceable,
    device_option,
    model_option,
    overwrite_option,
)
from shamisa_cli.errors import UsageError, system_reason

if TYPE_CHECKING:
    from PIL import Image

PHOTOS = ("china.jpg", "flower.jpg")
DISTORTIONS = ("gaussian_blur", "motion_blur", "jpeg", "white_noise")
SEVERITIES = (0.25, 0.5, 0.75, 1.0)
SHEET = "contact-sheet.png"
LOOK, CROP = 386, (230, 230)
"""px: the width of a look, the whole picture small and a part at 1:1; and the size of that part."""
WIDTH = 79
"""Characters of a line, for a terminal of 80."""


@click.command()
@click.option(
    "--out", type=FOLDER, default="shamisa-demo", show_default=True, help="For the contact sheet."
)
@model_option
@device_option
@overwrite_option
def demo(out: Path, model: str, device: str, overwrite: bool) -> None:
    """Distort two sample photos at rising severity, score all of them, and show them.

    Prints a table, and writes a contact sheet: each picture small with its score, and a part of it
    at 1:1, where the damage shows.
    """
    from shamisa_cli.progress import progress_bar
    from shamisa_cli.scoring import load
    from shamisa_cli.scoring.score import describe_head

    check_replaceable(out / SHEET, overwrite)
    scorer = load(model, device=device)
    about = f"model {scorer.model}, {describe_head(scorer.head.info)}"
    click.echo(f"{click.wrap_text(about, WIDTH)}\n")
    shown = [(photo, name) for photo in PHOTOS for name in DISTORTIONS]
    titles = [f"{Path(photo).stem}, {name}" for photo, name in shown]
    ladders, scores = [], []
    with progress_bar(len(shown) * (1 + len(SEVERITIES)), unit="picture") as bar:
        for photo, name in shown:
            ladders.append(make_ladder(photo, name))
            scores.append([score.score or 0.0 for score in scorer.score_many(ladders[-1])])
            bar.update(len(ladders[-1]))

    click.echo(_line("severity", ["as it is", *(f"{severity:g}" for severity in SEVERITIES)]))
    for title, row in zip(titles, scores, strict=True):
        click.echo(_line(title, [f"{score:.1f}" for score in row]))
    steps = [step for row in scores for step in pairwise(row)]
    falls = sum(before > after for before, after in steps)
    click.echo(f"\nThe score falls in {falls} of {len(steps)} steps of rising severity.")

    sheet = draw_sheet(shown, ladders, scores)
    click.echo(f"Look at them: {_save(sheet, out / SHEET)}")


def make_ladder(photo: str, distortion: str) -> list[Image.Image]:
    """One of scikit-learn's sample photos as it is, then distorted at each of the severities."""
    from PIL import Image
    from sklearn.datasets import load_sample_image

    from shamisa_cli.distortions.pictures import ladder_images

    image = Image.fromarray(load_sample_image(photo))
    return [image, *ladder_images(image, distortion, 0, SEVERITIES)]


def draw_sheet(
    shown: Sequence[tuple[str, str]],
    ladders: Sequence[Sequence[Image.Image]],
    scores: Sequence[Sequence[float]],
) -> Image.Image:
    """The contact sheet: a row for each (photo, distortion), the same part of a photo in all."""
    from shamisa_cli.distortions.registry import ENTRIES, get_entries
    from shamisa_cli.distortions.severity import native_text
    from shamisa_cli.imaging.closeup import telling_box
    from shamisa_cli.imaging.sheet import Row, contact_sheet, look

    rows = []
    for (photo, name), ladder, row in zip(shown, ladders, scores, strict=True):
        entry, box = ENTRIES[get_entries(name)[0]], telling_box(ladder[0], CROP)
        done = [f"severity {each:g}:\n{native_text(entry, each)}" for each in SEVERITIES]
        looks = [
            look(rung, box, f"{score:.1f}", text, LOOK)
            for rung, score, text in zip(ladder, row, ["as it is", *done], strict=True)
        ]
        rows.append(Row(f"{Path(photo).stem}, {name}", looks, [""] * len(looks)))
    return contact_sheet(rows)


def _save(sheet: Image.Image, path: Path) -> Path:
    from shamisa_cli.imaging.save import save_picture

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_picture(sheet, path)
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be written: {system_reason(error)}; choose another --out"
        ) from error
    return path


def _line(title: str, cells: Sequence[str]) -> str:
    return f"{title:<24}" + "".join(f"{cell:>11}" for cell in cells)
