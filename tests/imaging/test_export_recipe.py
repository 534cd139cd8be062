"""The recipe of docs/export.md sees what the scorer sees, pixel by pixel."""

from __future__ import annotations

import dataclasses
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from icc_profiles import inverted_cmyk_profile, rgb_profile
from PIL import Image, ImageCms

from shamisa_cli.encoders.config import ViewingProtocol
from shamisa_cli.imaging.crops import CropPlan, crop_batches
from shamisa_cli.imaging.decode import decode_photo
from shamisa_cli.imaging.resample import resize, viewing_size

DOCS = Path(__file__).parents[2] / "docs" / "export.md"
WHOLE = ViewingProtocol(short_side=320, crops="whole", scales=(1.0,))
FIVE = ViewingProtocol()


Recipe = Callable[[Any, ViewingProtocol], np.ndarray]


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    """The functions of the documentation; without the last block, which needs onnxruntime."""
    text = DOCS.read_text(encoding="utf-8")
    *blocks, _ = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile("\n".join(blocks), str(DOCS), "exec"), names)

    def made(photo: Any, protocol: ViewingProtocol) -> np.ndarray:
        mapping = dataclasses.asdict(protocol)
        viewed = names["viewed"](photo, mapping)
        if protocol.crops == "whole":
            return names["padded"](np.asarray(viewed), protocol.crop)[None, None]
        return names["five_crops"](viewed, mapping)

    return made


def seen(path: Path, protocol: ViewingProtocol) -> np.ndarray:
    """What the scorer's encoder gets of a photo: (places, scales, H, W, 3) uint8."""
    short_side, max_side = protocol.short_side, protocol.max_side
    decoded = decode_photo(path, short_side=short_side, max_side=max_side)
    size = viewing_size((decoded.width, decoded.height), short_side, max_side)
    plan = CropPlan(protocol.crops, protocol.crop, protocol.scales)
    (scales,) = crop_batches(resize(decoded.image, size), plan)
    return np.stack(scales, axis=1)


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def adobe() -> bytes:
    """Another gamma and other primaries than sRGB's."""
    return rgb_profile(order=(1, 0, 2), gamma=2.2)


def srgb() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


CASES: dict[str, tuple[tuple[int, int], str, str, dict[str, Any]]] = {
    "small": ((640, 427), "RGB", "photo.jpg", {}),
    "12 MP on its side, with a profile": (
        (4000, 3000),
        "RGB",
        "photo.jpg",
        {"exif": turned(6), "icc_profile": adobe()},
    ),
    "mirrored": ((3000, 2000), "RGB", "photo.jpg", {"exif": turned(7)}),
    "large without draft mode": ((3001, 2003), "RGB", "photo.jpg", {"icc_profile": srgb()}),
    "large PNG": ((3000, 2001), "RGB", "photo.png", {"icc_profile": adobe()}),
    "narrow": ((2000, 150), "RGB", "photo.webp", {"lossless": True}),
    "tiny": ((90, 60), "RGB", "photo.png", {}),
    "gray": ((1500, 1000), "L", "photo.jpg", {}),
    "CMYK": ((1500, 1000), "CMYK", "photo.jpg", {"icc_profile": inverted_cmyk_profile()}),
    "transparent": ((900, 700), "RGBA", "photo.png", {"icc_profile": adobe()}),
    "palette": ((900, 700), "P", "photo.png", {"transparency": 3}),
    "a damaged profile": ((900, 700), "RGB", "photo.jpg", {"icc_profile": b"no profile"}),
}


@pytest.mark.parametrize("protocol", [WHOLE, FIVE], ids=["whole", "five"])
@pytest.mark.parametrize("case", CASES)
def test_pixels_are_those_of_the_scorer(
    recipe: Recipe,
    sample_photos: list[Image.Image],
    tmp_path: Path,
    case: str,
    protocol: ViewingProtocol,
) -> None:
    size, mode, name, options = CASES[case]
    photo = sample_photos[1].resize(size).convert(mode)
    if mode == "RGBA":
        photo.putalpha(Image.radial_gradient("L").resize(size))
    photo.save(tmp_path / name, **options)
    path = tmp_path / name
    assert np.array_equal(recipe(path, protocol), seen(path, protocol))


def test_it_would_be_seen_if_a_step_were_left_out(
    recipe: Recipe, sample_photos: list[Image.Image]
) -> None:
    """Orientation, profile and averaging each change the pixels of the 12 MP photo above."""
    size, _, _, options = CASES["12 MP on its side, with a profile"]
    photo = sample_photos[1].resize(size)
    views = []
    for kind, kept in (("JPEG", {}), ("JPEG", options), ("PNG", {})):
        file = io.BytesIO()
        photo.save(file, kind, **kept)
        views.append(recipe(file, WHOLE)[0, 0])
    assert views[0].shape == (320, 427, 3)
    assert views[1].shape == (427, 320, 3)
    assert not np.array_equal(np.rot90(views[0], 3), views[1])
    assert not np.array_equal(views[0], views[2])
