"""What people would laugh at: how a score treats good photos, measured on photos of yours.

    python benchmarks/panel.py FOLDER [--model default] [--head mixed] [--everyday FOLDER]

FOLDER holds good photos that the head was not fitted on. The smoothest of them (sky, night, macro,
studio: least mean gradient) and the most textured ones are scored as they are and edited, at the
size at which the model views them. Prints what a fair score should do, and what this one does.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

import shamisa_cli
from shamisa_cli.distortions.pictures import ladder_images
from shamisa_cli.imaging.decode import decode
from shamisa_cli.imaging.paths import list_photos
from shamisa_cli.imaging.resample import resize
from shamisa_cli.ladders.edits import AS_IT_IS, EDITS, HARMLESS
from shamisa_cli.scoring import Score, Scorer

NOISE = "noise ¼"


def gradient(photo: Image.Image) -> float:
    """Mean absolute difference of neighboring pixels, gray levels of 255."""
    gray = np.asarray(photo.convert("L"), dtype=float)
    return float((np.abs(np.diff(gray, axis=0)).mean() + np.abs(np.diff(gray, axis=1)).mean()) / 2)


def by_gradient(paths: Sequence[Path], scorer: Scorer, count: int) -> dict[str, list[Image.Image]]:
    """The ``count`` smoothest and most textured photos, at viewing size."""
    photos = [decode(path) for path in paths]
    viewed = [resize(photo, scorer.extractor.viewing_size(photo.size)) for photo in photos]
    viewed.sort(key=gradient)
    return {"smooth": viewed[:count], "textured": viewed[-count:]}


def edited(photo: Image.Image) -> dict[str, Image.Image]:
    """The photo under every edit, and under white noise at severity ¼."""
    made = {AS_IT_IS: photo} | {name: edit(photo, 0) for name, edit in EDITS.items()}
    return made | {NOISE: ladder_images(photo, "white_noise", 0, (0.25,))[0]}


def scores(scorer: Scorer, photos: Sequence[Image.Image]) -> dict[str, np.ndarray]:
    """For each edit the scores of all photos."""
    variants = [edited(photo) for photo in photos]
    found = scorer.score_many(picture for each in variants for picture in each.values())
    rows = np.array([row.score for row in found]).reshape(len(variants), -1)
    return dict(zip(variants[0], rows.T, strict=True))


def report(
    found: dict[str, dict[str, np.ndarray]], everyday: Sequence[Score]
) -> list[tuple[str, ...]]:
    """(what, smooth, textured, aim) of each line."""
    lines: list[tuple[str, ...]] = []

    def line(what: str, aim: str, values: Sequence[float], form: str = ".1f") -> None:
        lines.append((what, *(format(value, form) for value in values), aim))

    sides = list(found.values())
    line("(a) median score", "within 10", [np.median(side[AS_IT_IS]) for side in sides])
    line(
        "(b) share that loses 15 or more by its own blur of σ 2",
        "0.90",
        [(side[AS_IT_IS] - side["blur"] >= 15).mean() for side in sides],
        ".2f",
    )
    for name in HARMLESS:
        aim = "1.0" if name in ("smaller", "jpeg95", "mirror") else "5.0"
        change = [np.abs(side[name] - side[AS_IT_IS]).mean() for side in sides]
        line(f"(c) {name}: mean change", aim, change)
    line(
        "(d) share in which JPEG 50 costs more than noise of σ 2",
        "1.00",
        [(side["jpeg50"] < side["grain"]).mean() for side in sides],
        ".2f",
    )
    noise = [np.median(side[AS_IT_IS] - side[NOISE]) for side in sides]
    line("white noise at severity ¼: median loss", "25", noise)
    clipped = np.mean([row.clipped for row in everyday])
    ends = np.mean([row.score < 1 or row.score > 99 for row in everyday])
    lines.append(("(e) share of all photos clipped at 0 or 100", f"{clipped:.3f}", "", "0.01"))
    lines.append(("    under 1 or above 99", f"{ends:.3f}", "", ""))
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="default")
    parser.add_argument("--head")
    parser.add_argument("--photos", type=int, default=20, help="smooth ones, and as many textured")
    parser.add_argument("--everyday", type=Path, help="folder whose scores (e) also looks at")
    asked = parser.parse_args()
    scorer = shamisa_cli.load(asked.model, asked.head)
    paths = list_photos(asked.folder)
    found = {
        side: scores(scorer, photos)
        for side, photos in by_gradient(paths, scorer, asked.photos).items()
    }
    others = [*paths, *(list_photos(asked.everyday) if asked.everyday else [])]
    everyday = [row for row in scorer.score_many(others) if not row.failed]
    print(f"{scorer.model}, head {scorer.head.info.name}, {len(paths)} photos of {asked.folder}\n")
    print(f"{'':<58}{'smooth':>9}{'textured':>10}{'aim':>11}")
    for what, smooth, textured, aim in report(found, everyday):
        print(f"{what:<58}{smooth:>9}{textured:>10}{aim:>11}")


if __name__ == "__main__":
    main()
