"""Pools: pictures made of photos, and those of a folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shamisa_cli.distortions.registry import DISTORTIONS
from shamisa_cli.errors import PhotoError, UsageError
from shamisa_cli.experiments.gmad_pool import MadePool, open_pool, photo_numbers


@pytest.fixture
def photos(tmp_path: Path, sample_photos: list[Image.Image]) -> list[Path]:
    """Two photos, and a file between them that is none."""
    paths = [tmp_path / name for name in ("a.png", "b.png", "c.png")]
    for path, photo in zip(paths[::2], sample_photos, strict=True):
        photo.resize((64, 48)).save(path)
    paths[1].write_bytes(b"no picture")
    return paths


def test_a_made_pool_streams_what_it_can_make_again(photos: list[Path]) -> None:
    skipped: list[PhotoError] = []
    pool = MadePool(photos, seed=3, short_side=40)
    made = list(pool.stream(skipped.append))
    assert pool.count == 3 * 24 * 5
    assert len(made) == 2 * 24 * 5
    assert [str(error).split(": ")[0] for error in skipped] == [str(photos[1])]
    facts = [(each.path.name, each.distortion, each.level) for each, _ in made]
    assert facts == [
        (name, d, k) for name in ("a.png", "c.png") for d in DISTORTIONS for k in range(1, 6)
    ]
    for picture, image in made[::7]:
        assert image.size == (53, 40)
        assert pool.see(picture).tobytes() == image.tobytes()
    assert pool.see_reference(made[0][0]).size == (53, 40)


def test_a_picture_depends_on_its_photo_and_the_seed_alone(photos: list[Path]) -> None:
    def noisy(paths: list[Path], seed: int, workers: int) -> bytes:
        pool = MadePool(paths, seed, None, workers)
        made = (image for each, image in pool.stream(print) if each.path.name == "c.png")
        return b"".join(image.tobytes() for image in made)

    both = noisy([photos[0], photos[2]], 0, 2)
    other = photos[2].parent / "elsewhere" / "c.png"
    other.parent.mkdir()
    shutil.copy(photos[2], other)
    assert noisy([other], 0, 0) == both
    assert noisy([other], 1, 0) != both


def test_waterloo_exploration_is_known_by_its_layout(tmp_path: Path) -> None:
    names = (
        *("pristine_images/00001.bmp", "pristine_images/00002.bmp"),
        *("distorted_images/00001_1_5.bmp", "distorted_images/00002_4_1.jpg"),
        *("distorted_images/2/3/00001.bmp", "distorted_images/00009_1_1.bmp", "else/x.png"),
    )
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    pool = open_pool(tmp_path)
    found = {
        str(each.path.relative_to(tmp_path)): (each.done, each.reference and each.reference.name)
        for each in pool.pictures
    }
    assert found == {
        "pristine_images/00001.bmp": ("as it is", "00001.bmp"),
        "pristine_images/00002.bmp": ("as it is", "00002.bmp"),
        "distorted_images/00001_1_5.bmp": ("distortion 1, level 5", "00001.bmp"),
        "distorted_images/00002_4_1.jpg": ("distortion 4, level 1", "00002.bmp"),
        "distorted_images/2/3/00001.bmp": ("distortion 2, level 3", "00001.bmp"),
        "distorted_images/00009_1_1.bmp": ("", None),
        "else/x.png": ("", None),
    }
    numbers = photo_numbers(pool.pictures)
    same = {tuple(np.flatnonzero(numbers == number)) for number in numbers}
    assert sorted(map(len, same)) == [1, 1, 2, 3]


def test_a_folder_without_pictures_is_no_pool(tmp_path: Path) -> None:
    (tmp_path / "one.png").touch()
    with pytest.raises(UsageError, match="1 pictures; a pool needs two at least"):
        open_pool(tmp_path)
