"""``shamisa demo``: see scores fall as damage rises; needs neither photos nor a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shamisa_cli.errors import UsageError

if TYPE_CHECKING:
    from PIL import Image

PHOTOS = ("china.jpg", "flower.jpg")
DISTORTIONS = ("gaussian_blur", "motion_blur", "jpeg", "white_noise")
SEVERITIES = (0.25, 0.5, 0.75, 1.0)
SHEET = "contact-sheet.png"
CELL = 240
"""Side of a picture on the sheet, px: large enough to see the damage."""


@dataclass(frozen=True)
class Ladder:
    """A photo as it is, and then distorted at each of :data:`SEVERITIES`."""

    title: str
    rungs: Sequence[Image.Image]


@click.command()
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default="shamisa-demo",
    show_default=True,
    help="Folder for the contact sheet.",
)
@click.option("--model", default="default", show_default=True, help="Name or folder of a model.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps.")
def demo(out: Path, model: str, device: str) -> None:
    """Distort two sample photos at rising severity, score all of them, and show them.

    Prints a table, and writes a contact sheet with the score under each picture.
    """
    from shamisa_cli.imaging.sheet import contact_sheet
    from shamisa_cli.scoring import load
    from shamisa_cli.scoring.score import describe_head

    scorer = load(model, device=device)
    click.echo(f"model {scorer.model}, {describe_head(scorer.head.info)}\n")
    ladders = [make_ladder(photo, name) for photo in PHOTOS for name in DISTORTIONS]
    scored = scorer.score_many(rung for ladder in ladders for rung in ladder.rungs)
    scores = [[next(scored).score or 0.0 for _ in ladder.rungs] for ladder in ladders]

    rungs = ["as it is", *(f"severity {severity:g}" for severity in SEVERITIES)]
    click.echo(_line("", rungs))
    for ladder, row in zip(ladders, scores, strict=True):
        click.echo(_line(ladder.title, [f"{score:.1f}" for score in row]))
    steps = [step for row in scores for step in pairwise(row)]
    falls = sum(before > after for before, after in steps)
    click.echo(f"\nThe score falls in {falls} of {len(steps)} steps of rising severity.")

    sheet = contact_sheet(
        [ladder.rungs for ladder in ladders],
        [
            [f"{score:.1f}  ({rung})" for score, rung in zip(row, rungs, strict=True)]
            for row in scores
        ],
        row_titles=[ladder.title for ladder in ladders],
        cell=CELL,
    )
    click.echo(f"Look at them: {_save(sheet, out / SHEET)}")


def make_ladder(photo: str, distortion: str) -> Ladder:
    """One of scikit-learn's sample photos under one distortion, the mildest first."""
    from PIL import Image
    from sklearn.datasets import load_sample_image

    from shamisa_cli.distortions.pictures import ladder_images

    image = Image.fromarray(load_sample_image(photo))
    rungs = [image, *ladder_images(image, distortion, 0, SEVERITIES)]
    return Ladder(f"{Path(photo).stem}, {distortion}", rungs)


def _save(sheet: Image.Image, path: Path) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sheet.save(path)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error}; choose another --out") from error
    return path


def _line(title: str, cells: Sequence[str]) -> str:
    return f"{title:<24}" + "".join(f"{cell:>15}" for cell in cells)
