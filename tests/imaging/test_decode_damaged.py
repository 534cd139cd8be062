"""Whatever is done to a file, decoding gives a photo or a PhotoError, and nothing else."""

from __future__ import annotations

import io
import warnings
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, features

from shamisa_cli.errors import PhotoError
from shamisa_cli.imaging.decode import decode_photo

KINDS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 80, "icc": True, "exif": True},
    "JPEG-progressive": {"format": "JPEG", "progressive": True},
    "JPEG-CMYK": {"format": "JPEG", "mode": "CMYK"},
    "PNG": {"icc": True, "exif": True},
    "PNG-palette": {"format": "PNG", "mode": "P"},
    "PNG-16": {"format": "PNG", "mode": "I;16"},
    "WEBP": {"quality": 80, "exif": True},
    "AVIF": {"quality": 60, "speed": 10},
    "TIFF": {"exif": True},
    "TIFF-lzw": {"format": "TIFF", "compression": "tiff_lzw"},
    "TIFF-jpeg": {"format": "TIFF", "compression": "jpeg"},
    "BMP": {},
    "GIF": {},
    "PPM": {},
    "JPEG2000": {},
}
MUTATIONS = 50


def make(kind: str) -> bytes:
    options = dict(KINDS[kind])
    name = options.pop("format", kind)
    if name in ("AVIF", "WEBP") and not features.check(name.lower()):
        pytest.skip(f"this Pillow was built without {name}")
    image = Image.radial_gradient("L").resize((48, 36))
    image = Image.merge("RGB", (image, image.rotate(90), image.rotate(180)))
    mode = options.pop("mode", "RGB")
    image = image.convert("L").convert("I;16") if mode == "I;16" else image.convert(mode)
    if options.pop("exif", False):
        exif = Image.Exif()
        exif[0x0112] = 6
        options["exif"] = exif
    if options.pop("icc", False):
        options["icc_profile"] = bytes(range(200))
    file = io.BytesIO()
    image.save(file, format=name, **options)
    return file.getvalue()


def photo_or_error(content: bytes) -> bool:
    """True for a photo, False for a PhotoError; anything else fails the test."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            decoded = decode_photo(io.BytesIO(content), max_pixels=1_000_000, short_side=8)
        except PhotoError:
            return False
    assert decoded.image.mode == "RGB"
    assert min(decoded.image.size) >= 1
    return True


@pytest.mark.parametrize("kind", KINDS)
def test_truncated_or_zeroed_anywhere(kind: str) -> None:
    content = make(kind)
    assert photo_or_error(content)
    starts = range(0, len(content), max(1, len(content) // MUTATIONS))
    results = [photo_or_error(content[:start]) for start in starts]
    assert not any(results[: len(results) // 2])  # half a file is no photo
    for start in starts:
        photo_or_error((content[:start] + bytes(16) + content[start + 16 :])[: len(content)])


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_bits_flipped_anywhere(kind: str, data: st.DataObject) -> None:
    content = bytearray(make(kind))
    for _ in range(data.draw(st.integers(1, 8))):
        # half of the flips in the header, where they do most
        end = data.draw(st.sampled_from([min(200, len(content)), len(content)]))
        content[data.draw(st.integers(0, end - 1))] ^= 1 << data.draw(st.integers(0, 7))
    photo_or_error(bytes(content))


@settings(max_examples=100, deadline=None)
@given(
    start=st.sampled_from(
        [make(kind)[:16] for kind in ("JPEG", "PNG", "TIFF", "BMP", "GIF", "PPM")]
    ),
    rest=st.binary(max_size=300),
)
def test_rubbish_behind_a_good_start(start: bytes, rest: bytes) -> None:
    photo_or_error(start + rest)
