"""What scores look like: two sample photos, damaged until the score is near 20, 50 and 80.

    python benchmarks/score_pictures.py OUT.png [--model default]

For each photo and distortion the severity is chosen whose score is nearest; where none comes within
five points, the place stays empty.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from PIL import Image
from sklearn.datasets import load_sample_image

import shamisa_cli
from shamisa_cli.distortions.pictures import ladder_images
from shamisa_cli.imaging.sheet import Row, contact_sheet
from shamisa_cli.scoring.scorer import Scorer

PHOTOS = ("china.jpg", "flower.jpg")
DISTORTIONS = ("gaussian_blur", "motion_blur", "jpeg", "white_noise", "darken")
WANTED = (80.0, 50.0, 20.0)
WITHIN = 5.0
SEVERITIES = 41


def nearest(scorer: Scorer, photo: Image.Image, name: str) -> tuple[list[Image.Image], list[str]]:
    """A row of the sheet: a picture and a caption for each of the wanted scores."""
    pictures = ladder_images(photo, name, 0, torch.linspace(0, 1, SEVERITIES).tolist())
    scores = [each.score or 0.0 for each in scorer.score_many(pictures)]
    row, captions = [], []
    for wanted in WANTED:
        at = min(range(len(scores)), key=lambda i: abs(scores[i] - wanted))
        found = abs(scores[at] - wanted) <= WITHIN
        row.append(pictures[at] if found else Image.new("RGB", pictures[at].size, "white"))
        captions.append(f"{scores[at]:.0f}" if found else f"no severity gives {wanted:.0f}")
    return row, captions


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", default="default")
    asked = parser.parse_args()
    scorer = shamisa_cli.load(asked.model)
    rows = []
    for photo in PHOTOS:
        sample = Image.fromarray(load_sample_image(photo))
        plain = scorer.score(sample).score
        for name in DISTORTIONS:
            title = f"{Path(photo).stem} ({plain:.0f}), {name}"
            rows.append(Row(title, *nearest(scorer, sample, name)))
    contact_sheet(rows).save(asked.out)
    print(asked.out)


if __name__ == "__main__":
    main()
