"""Which frame of a burst is the sharp one? By score, by close-ups, and by both.

    python benchmarks/close_ups.py PHOTOS [--model default] [--draws 3] [--seed 0]

PHOTOS should be large: what counts is blur that is gone once a photo is shrunk. Of each photo
``--draws`` bursts of seven frames are made, at full size: one sharp, three blurred, one shaken, one
darker, and one with noise. A frame is a window on the photo that moves by up to 3 %, as a JPEG.
Printed is how often the sharp frame is ahead of each other one, and of all. `shamisa cull
--per-burst 1` goes by the score, with `--close-ups` by both.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from pathlib import Path

import numpy as np
from bursts import exposed, shaken, window
from PIL import Image, ImageFilter

from shamisa_cli.imaging.decode import decode
from shamisa_cli.imaging.paths import list_photos
from shamisa_cli.scoring import load
from shamisa_cli.scoring.close_ups import close_ups

FRAMES = (
    "sharp",
    "blur σ 0.7 px",
    "blur σ 1.2 px",
    "blur σ 2 px",
    "shaken by 4 px",
    "darker by a stop",
    "noise σ 12",
)


def damaged(frame: Image.Image, what: str, rng: random.Random) -> Image.Image:
    """The frame as one of :data:`FRAMES`."""
    if what.startswith("shaken"):
        return shaken(frame, 4, rng.randrange(2))
    if what.startswith("darker"):
        return exposed(frame, -1)
    if what.startswith("noise"):
        noise = np.random.default_rng(rng.randrange(2**32)).normal(0, 12, (*frame.size[::-1], 1))
        return Image.fromarray(np.clip(frame + noise, 0, 255).astype(np.uint8))
    radius = 0.0 if what == "sharp" else float(what.split()[2])
    return frame.filter(ImageFilter.GaussianBlur(radius))


def burst(photo: Image.Image, folder: Path, rng: random.Random) -> list[Path]:
    """The frames of a burst as files, in the order of :data:`FRAMES`."""
    paths = []
    for n, what in enumerate(FRAMES):
        frame = window(photo, 0.97, rng.random(), rng.random())
        paths.append(folder / f"{n}.jpg")
        damaged(frame, what, rng).save(paths[-1], quality=92)
    return paths


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--model", default="default")
    parser.add_argument("--draws", type=int, default=3, help="bursts of each photo")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    scorer, rng = load(asked.model), random.Random(asked.seed)
    scores, near, spent = [], [], {"scored": 0.0, "close-ups": 0.0}
    photos = list_photos(asked.photos)
    with tempfile.TemporaryDirectory() as folder:
        for path in photos:
            photo = decode(path)
            for _ in range(asked.draws):
                frames = [str(frame) for frame in burst(photo, Path(folder), rng)]
                started = time.perf_counter()
                scores.append([row.score for row in scorer.score_many(frames)])
                scored = time.perf_counter()
                near.append([value for _, value in close_ups(scorer, frames)])
                spent["scored"] += scored - started
                spent["close-ups"] += time.perf_counter() - scored
    by_score, by_close_up = np.array(scores, float), np.array(near, float)
    ways = {"score": by_score, "close-ups": by_close_up, "both": by_score + by_close_up}
    print(f"{scorer.model}, {len(photos)} photos, {len(scores)} bursts; seconds a frame: ", end="")
    print(", ".join(f"{what} {each / by_score.size:.2f}" for what, each in spent.items()))
    print(f"\n{'the sharp frame is ahead of':<30}" + "".join(f"{way:>11}" for way in ways))
    soft = FRAMES.index("blur σ 2 px")
    rows = {
        what: [(values[:, 0] > values[:, n]).mean() for values in ways.values()]
        for n, what in enumerate(FRAMES[1:], 1)
    }
    rows["15 points lost by σ 2 px"] = [
        (values[:, 0] - values[:, soft] >= 15).mean() for values in (by_score, by_close_up)
    ]
    rows["all of them"] = [(values.argmax(1) == 0).mean() for values in ways.values()]
    for what, shares in rows.items():
        print(f"{what:<30}" + "".join(f"{share:11.3f}" for share in shares))


if __name__ == "__main__":
    main()
