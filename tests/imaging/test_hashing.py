"""The perceptual hash, against its definition in floating point."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageFilter
from scipy.fft import dctn

from shamisa_cli.imaging.hashing import perceptual_hash


def by_definition(picture: Image.Image) -> int:
    """The hash by scipy's transform, bit by bit."""
    gray = picture.convert("L").resize((32, 32), Image.Resampling.LANCZOS)
    low = dctn(np.asarray(gray, float), type=2)[:8, :8].ravel()
    median = np.median(low)
    return sum(1 << (63 - place) for place in range(64) if low[place] > median)


def distance(one: int, other: int) -> int:
    return (one ^ other).bit_count()


def test_it_is_what_its_definition_says(sample_photos: list[Image.Image]) -> None:
    for photo in sample_photos:
        for left in range(0, 400, 40):
            picture = photo.crop((left, left // 2, left + 200, left // 2 + 150))
            # one bit is on either side of the median as the cosines are rounded
            assert distance(perceptual_hash(picture), by_definition(picture)) <= 1


def test_copies_are_near_and_strangers_far(sample_photos: list[Image.Image]) -> None:
    china, flower = sample_photos
    file = io.BytesIO()
    china.resize((320, 213)).save(file, "JPEG", quality=40)
    found = perceptual_hash(china)
    assert 0 <= found < 1 << 64
    assert distance(found, perceptual_hash(Image.open(file))) <= 6
    assert distance(found, perceptual_hash(china.filter(ImageFilter.GaussianBlur(3)))) <= 6
    assert distance(found, perceptual_hash(flower)) >= 16
