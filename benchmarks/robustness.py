"""How far small changes that nobody sees move a score, measured on your photos.

    python benchmarks/robustness.py FOLDER [--model default] [--photos 100]

Each photo is scored as it is, 5 % smaller, 5 % larger, encoded again as JPEG at quality 95, and
mirrored. Prints how far the scores are from that of the photo as it is, in points of 0-100.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

import shamisa_cli
from shamisa_cli.distortions.compression import jpeg_bytes
from shamisa_cli.imaging.decode import decode
from shamisa_cli.imaging.paths import list_photos
from shamisa_cli.imaging.resample import rescale


def as_jpeg(photo: Image.Image) -> Image.Image:
    """``photo`` after a JPEG encoder and decoder."""
    return Image.open(io.BytesIO(jpeg_bytes(photo, 95))).convert("RGB")


CHANGES: Mapping[str, Callable[[Image.Image], Image.Image]] = {
    "5 % smaller": lambda photo: rescale(photo, 0.95),
    "5 % larger": lambda photo: rescale(photo, 1.05),
    "JPEG, quality 95": as_jpeg,
    "mirrored": ImageOps.mirror,
}


def measure(model: str, photos: list[Path]) -> np.ndarray:
    """(photos, changes) float64: score of the changed photo minus that of the photo as it is."""
    scorer = shamisa_cli.load(model)
    made = []
    for path in photos:
        photo = decode(path)
        variants = [photo, *(change(photo) for change in CHANGES.values())]
        scores = [each.score for each in scorer.score_many(variants)]
        made.append([score - scores[0] for score in scores[1:]])
    return np.array(made)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="default")
    parser.add_argument("--photos", type=int, default=100, help="evenly spread over the folder")
    asked = parser.parse_args()
    paths = list_photos(asked.folder)
    photos = paths[:: max(1, len(paths) // asked.photos)][: asked.photos]
    differences = measure(asked.model, photos)
    print(f"{asked.model}, {len(photos)} photos of {asked.folder}; points of 0-100\n")
    print(f"{'change':<18}{'mean |Δ|':>10}{'95 % below':>12}{'largest':>10}{'mean Δ':>10}")
    for name, column in zip(CHANGES, differences.T, strict=True):
        size = np.abs(column)
        print(
            f"{name:<18}{size.mean():>10.2f}{np.quantile(size, 0.95):>12.2f}"
            f"{size.max():>10.2f}{column.mean():>10.2f}"
        )


if __name__ == "__main__":
    main()
