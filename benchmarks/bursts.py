"""Are bursts found, and is the sharpest photo picked? On bursts planted among your own photos.

    python benchmarks/bursts.py PHOTOS [--bursts 100] [--model default] [--seed 0]

Of each photo a burst of four frames is made: windows on it that move and change in size, three of
them blurred or shaken, as JPEGs with EXIF times a fraction of a second apart. Beside each burst
stand two frames of other photos. Bursts are ``--apart`` seconds apart: with 300 time alone tells
them apart; with 1, features and detail must. Series are made too: a bracket, a panorama and a focus
stack of each of ``--series`` photos.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache, partial
from itertools import combinations
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageFilter

from shamisa_cli.culling.bursts import Group, find_groups
from shamisa_cli.culling.frames import Frame, look_at
from shamisa_cli.culling.survey import survey
from shamisa_cli.imaging.decode import MAX_PIXELS, decode
from shamisa_cli.imaging.paths import list_photos
from shamisa_cli.scoring import load

Made = tuple[str, Image.Image, dict[int, object]]
"""What a frame is, its picture, and tags of its EXIF."""


def window(photo: Image.Image, share: float, x: float, y: float = 0.5) -> Image.Image:
    """A window of ``share`` of both sides; x and y from 0 (left, top) to 1."""
    w, h = (round(side * share) for side in photo.size)
    left, top = round(x * (photo.width - w)), round(y * (photo.height - h))
    return photo.crop((left, top, left + w, top + h))


def shaken(photo: Image.Image, length: int, axis: int) -> Image.Image:
    """Blurred along an axis, over ``length`` px."""
    pixels = np.asarray(photo, dtype=np.float32)
    moved = [np.roll(pixels, n, axis) for n in range(length)]
    return Image.fromarray(np.mean(moved, axis=0).round().astype(np.uint8))


def burst(photo: Image.Image, rng: random.Random) -> list[Made]:
    """Four frames, one of them sharp, in any order."""
    frames: list[Made] = []
    for what in ("sharp", "blurred", "shaken", rng.choice(("blurred", "shaken"))):
        share = rng.uniform(0.86, 0.98)
        frame = window(photo, share, rng.random(), rng.random())
        if what == "blurred":
            frame = frame.filter(ImageFilter.GaussianBlur(rng.uniform(0.7, 2.5)))
        if what == "shaken":
            frame = shaken(frame, rng.choice((4, 6, 8)), rng.randrange(2))
        frames.append((what, frame.resize(photo.size, Image.Resampling.BICUBIC), {}))
    rng.shuffle(frames)
    return frames


def exposed(photo: Image.Image, stops: float) -> Image.Image:
    """Brighter or darker by so many stops, in linear light."""
    linear = (np.asarray(photo, dtype=np.float32) / 255) ** 2.2
    pixels = np.clip(linear * 2**stops, 0, 1) ** (1 / 2.2) * 255
    return Image.fromarray(pixels.round().astype(np.uint8))


def bracket(photo: Image.Image, rng: random.Random) -> list[Made]:
    """Three exposures, ``step`` stops apart."""
    step, frames = rng.choice((2 / 3, 1, 2)), []
    for stops in (0, -step, step):
        tags = {ExifTags.Base.ExposureTime: 2**stops / 100, ExifTags.Base.FNumber: 8.0}
        tags[ExifTags.Base.ISOSpeedRatings] = 100
        frames.append(("bracket", exposed(photo, stops), tags))
    return frames


def panorama(photo: Image.Image, rng: random.Random) -> list[Made]:
    """Three frames that share half to two thirds of their width with the next."""
    share = rng.uniform(0.5, 0.58)
    return [("panorama", window(photo, share, x, rng.random()), {}) for x in (0.0, 0.5, 1.0)]


def focus_stack(photo: Image.Image, rng: random.Random) -> list[Made]:
    """Three frames whose sharp part moves, along either side of the picture."""
    ramp = np.linspace(0, 1, photo.size[axis := rng.randrange(2)])
    depth = np.broadcast_to(ramp if axis == 0 else ramp[:, None], photo.size[::-1])
    radii = (0.0, 1.0, 2.0, 3.5)
    blurred = [np.asarray(photo.filter(ImageFilter.GaussianBlur(r)), np.float32) for r in radii]
    frames = []
    for focus in (0.1, 0.5, 0.9):
        level = np.minimum(np.abs(depth - focus) * 5, len(radii) - 1.001)
        part = (level % 1)[..., None]
        lower = np.choose(level.astype(int)[..., None], [*blurred])
        upper = np.choose(level.astype(int)[..., None] + 1, [*blurred])
        pixels = lower * (1 - part) + upper * part
        frames.append(("focus stack", Image.fromarray(pixels.round().astype(np.uint8)), {}))
    return frames


def save(frames: list[Made], folder: Path, name: str, begin: float, every: float) -> list[Path]:
    """The frames as JPEGs, ``every`` s apart from ``begin`` s on."""
    paths = []
    for n, (_, picture, tags) in enumerate(frames):
        moment = datetime(2026, 5, 1, 9) + timedelta(seconds=begin + n * every)
        exif = Image.Exif()
        exif[ExifTags.Base.Make], exif[ExifTags.Base.Model] = "Made", "Up"
        inner = exif.get_ifd(ExifTags.IFD.Exif)
        inner[ExifTags.Base.DateTimeOriginal] = moment.strftime("%Y:%m:%d %H:%M:%S")
        inner[ExifTags.Base.SubsecTimeOriginal] = f"{moment.microsecond // 1000:03d}"
        inner.update({int(tag): value for tag, value in tags.items()})
        paths.append(folder / f"{name}-{n}.jpg")
        picture.convert("RGB").save(paths[-1], quality=90, exif=exif)
    return paths


def planted(
    photos: list[Path], folder: Path, asked: argparse.Namespace
) -> Iterator[tuple[str, list[Path], list[str]]]:
    """(kind, paths, what each is) of all that is planted; single photos between the bursts."""
    rng, begin = random.Random(asked.seed), 0.0
    drawn = iter(rng.sample(photos, len(photos)))
    kinds = [burst] * asked.bursts + [bracket, panorama, focus_stack] * asked.series
    for number, make in enumerate(kinds):
        frames = make(decode(next(drawn)), rng)
        every = rng.uniform(0.1, 1.0)
        paths = save(frames, folder, f"{number:04d}", begin, every)
        begin += (len(frames) - 1) * every + asked.apart
        yield make.__name__.replace("_", " "), paths, [what for what, _, _ in frames]
        for single in range(2 if make is burst else 0):
            frame: list[Made] = [("single", decode(next(drawn)), {})]
            paths = save(frame, folder, f"{number:04d}-{'ab'[single]}", begin, 0)
            begin += asked.apart
            yield "single", paths, ["single"]


def pairs(groups: list[list[str]]) -> set[tuple[str, str]]:
    """Which photos stand together."""
    return {pair for group in groups for pair in combinations(sorted(group), 2)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("photos", type=Path)
    parser.add_argument("--bursts", type=int, default=100)
    parser.add_argument("--series", type=int, default=20, help="of each kind")
    parser.add_argument("--apart", type=float, default=300.0, help="s between two scenes")
    parser.add_argument("--model", default="default")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        made = list(planted(list_photos(asked.photos), Path(name), asked))
        paths = [str(path) for _, group, _ in made for path in group]
        frames = survey(load(asked.model), paths).frames
        look = cache(partial(look_at, max_pixels=MAX_PIXELS))
        for how, features in (("features and detail", True), ("detail alone, as of --rows", False)):
            seen = frames if features else [replace(frame, features=None) for frame in frames]
            print(f"{how}:")
            report(made, find_groups(seen, look), seen)


def report(
    made: list[tuple[str, list[Path], list[str]]],
    groups: list[Group],
    frames: list[Frame],
) -> None:
    """Print what was found of what was planted."""
    paths = [frame.path for frame in frames]
    bursts = [list(map(str, group)) for kind, group, _ in made if kind == "burst"]
    together = [[paths[n] for n in group.members] for group in groups if group.kind == "burst"]
    true, said = pairs(bursts), pairs(together)
    print(f"  bursts planted {len(bursts)}, among {len(paths)} photos")
    print(f"  pairs: recall {len(true & said) / len(true):.3f}, precision ", end="")
    print(f"{len(true & said) / max(1, len(said)):.3f}")
    score, what = {frame.path: frame.score for frame in frames}, {}
    for _, group, kinds in made:
        what.update(zip(map(str, group), kinds, strict=True))
    best = [what[max(group, key=lambda path: score[path])] for group in bursts]
    print(f"  the sharp one has the best score in {best.count('sharp') / len(best):.3f}")
    by_path = {paths[n]: group.kind for group in groups for n in group.members}
    for kind in ("bracket", "panorama", "focus stack", "burst", "single"):
        seen = Counter(
            by_path.get(str(p), "single") for k, group, _ in made if k == kind for p in group
        )
        print(f"  photos of a {kind}: {', '.join(f'{name} {n}' for name, n in seen.most_common())}")


if __name__ == "__main__":
    main()
