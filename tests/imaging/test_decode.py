"""Files to photos: formats, orientation, animation, draft mode, limits, and what errors say."""

from __future__ import annotations

import contextlib
import io
import os
import socket
import struct
import sys
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from icc_profiles import rgb_profile
from PIL import Image, ImageFile, ImageSequence, features

from shamisa_cli.errors import PhotoError
from shamisa_cli.imaging import decode as decode_module
from shamisa_cli.imaging.decode import decode, decode_photo, upright_srgb
from shamisa_cli.imaging.formats import EXTENSIONS, FORMATS
from shamisa_cli.imaging.resample import resize

LOSSLESS: dict[str, dict[str, Any]] = {
    "PNG": {},
    "TIFF": {},
    "TIFF-lzw": {"format": "TIFF", "compression": "tiff_lzw"},
    "TIFF-deflate": {"format": "TIFF", "compression": "tiff_adobe_deflate"},
    "BMP": {},
    "WEBP": {"lossless": True},
    "PPM": {},
    "JPEG2000": {},
}
LOSSY: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95},
    "JPEG-progressive": {"format": "JPEG", "quality": 95, "progressive": True},
    "WEBP": {"quality": 95},
    "AVIF": {"quality": 95},
    "GIF": {},
}


def encoded(image: Image.Image, kind: str, options: dict[str, Any]) -> io.BytesIO:
    name = options.get("format", kind)
    if name in ("AVIF", "WEBP") and not features.check(name.lower()):
        pytest.skip(f"this Pillow was built without {name}")
    file = io.BytesIO()
    image.save(file, **{"format": name, **options})
    return file


@pytest.fixture
def photo(sample_photos: list[Image.Image]) -> Image.Image:
    return sample_photos[1].resize((160, 104))


@pytest.mark.parametrize("kind", LOSSLESS)
def test_lossless_formats_come_back_exactly(photo: Image.Image, kind: str) -> None:
    file = encoded(photo, kind, LOSSLESS[kind])
    assert np.array_equal(np.asarray(decode(file)), np.asarray(photo))


@pytest.mark.parametrize("kind", LOSSY)
def test_lossy_formats_come_back_nearly(photo: Image.Image, kind: str) -> None:
    decoded = decode(encoded(photo, kind, LOSSY[kind]))
    assert decoded.size == photo.size
    assert np.abs(np.asarray(decoded).astype(int) - np.asarray(photo)).mean() < 8


def test_a_cmyk_jpeg_is_not_inverted(photo: Image.Image) -> None:
    """Adobe's CMYK JPEGs store inverted ink; Pillow writes them so too."""
    decoded = np.asarray(decode(encoded(photo.convert("CMYK"), "JPEG", {"quality": 95})))
    assert np.abs(decoded.astype(int) - np.asarray(photo)).mean() < 6


@pytest.mark.parametrize(
    ("kind", "dtype", "full"),
    [(kind, np.uint16, 65535) for kind in ("PNG", "TIFF", "PPM")] + [("TIFF", np.float32, 1)],
)
def test_16_bit_and_float_files_are_scaled(kind: str, dtype: Any, full: int) -> None:
    values = np.linspace(0, full, 64 * 256).reshape(64, 256).astype(dtype)
    decoded = np.asarray(decode(encoded(Image.fromarray(values), kind, {})))
    assert np.array_equal(decoded[..., 0], np.rint(values.astype(np.float64) * (255 / full)))


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "AVIF"])
def test_of_an_animation_the_first_frame_counts(kind: str) -> None:
    frames = [Image.new("RGB", (40, 30), color) for color in ("red", "blue", "lime")]
    options = {"save_all": True, "append_images": frames[1:], "duration": 50}
    file = encoded(frames[0], kind, options | ({"lossless": True} if kind == "WEBP" else {}))
    assert len(list(ImageSequence.Iterator(Image.open(file)))) == 3
    red, green, blue = np.asarray(decode(file)).reshape(-1, 3).astype(int).mean(0)
    assert red > 245
    assert max(green, blue) < 10


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


UNDO = """NONE FLIP_LEFT_RIGHT ROTATE_180 FLIP_TOP_BOTTOM
TRANSPOSE ROTATE_90 TRANSVERSE ROTATE_270"""
"""What makes each orientation of an upright photo."""


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_comes_out_upright(
    photo: Image.Image, kind: str, orientation: int
) -> None:
    undo = UNDO.split()[orientation - 1]
    stored = photo if undo == "NONE" else photo.transpose(Image.Transpose[undo])
    decoded = decode_photo(encoded(stored, kind, {"exif": turned(orientation), "quality": 95}))
    assert (decoded.width, decoded.height) == decoded.image.size == photo.size
    difference = np.asarray(decoded.image).astype(int) - np.asarray(photo)
    assert np.abs(difference).mean() < 4


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_exif_that_cannot_be_read_turns_nothing(photo: Image.Image) -> None:
    file = encoded(photo, "JPEG", {"exif": b"Exif\0\0MM\0*\xff\xff\xff\xff" + bytes(20)})
    assert decode(file).size == photo.size


def test_an_image_stays_upright_where_its_exif_cannot_be_written_again(
    photo: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = encoded(photo, "JPEG", {"exif": turned(6)})
    monkeypatch.setattr(Image.Exif, "tobytes", lambda *_: 1 / 0)
    assert decode(file).size == photo.size[::-1]


def test_draft_mode_keeps_twice_the_asked_size_and_tells_the_true_one() -> None:
    photo = Image.effect_noise((1200, 800), 40)
    file = encoded(photo, "JPEG", {"exif": turned(6)})
    decoded = decode_photo(file, short_side=100)
    assert decoded.image.size == (200, 300)  # a quarter, on its side
    assert (decoded.width, decoded.height) == (800, 1200)
    assert decode_photo(file, short_side=450).image.size == (800, 1200)
    assert decode_photo(file, max_side=150).image.size == (200, 300)
    assert decode_photo(file).image.size == (800, 1200)
    odd = encoded(Image.effect_noise((1203, 802), 40), "JPEG", {})
    assert decode_photo(odd, short_side=100).image.size == (1203, 802)  # not stretched by a pixel


def test_draft_mode_hardly_changes_what_is_looked_at(sample_photos: list[Image.Image]) -> None:
    """At its margin it costs less than one gray level on average, and a few on hard edges."""
    for photo in sample_photos:
        large = photo.resize((1800, 1200), Image.Resampling.LANCZOS)
        grain = np.random.default_rng(0).normal(0, 6, (1200, 1800, 1))
        noisy = Image.fromarray(np.clip(np.asarray(large) + grain, 0, 255).astype(np.uint8))
        file = encoded(noisy, "JPEG", {"quality": 90})
        drafted = decode(file, short_side=300)
        assert drafted.size == (900, 600)
        exact, near = (
            np.asarray(resize(view, (450, 300))).astype(int) for view in (decode(file), drafted)
        )
        assert np.abs(near - exact).mean() < 0.8
        assert np.abs(near - exact).max() <= 12


def test_paths_and_files_give_the_same_whatever_their_name(
    photo: Image.Image, tmp_path: Path
) -> None:
    path = tmp_path / "photo.jpg"
    photo.save(path, format="PNG")
    with path.open("rb") as file:
        views = [np.asarray(decode(source)) for source in (file, path, str(path))]
    assert all(np.array_equal(view, np.asarray(photo)) for view in views)


def test_what_was_decoded_is_not_turned_or_converted_again(photo: Image.Image) -> None:
    profile = rgb_profile(order=(2, 1, 0))
    once = decode(encoded(photo, "PNG", {"exif": turned(6), "icc_profile": profile}))
    assert np.array_equal(np.asarray(upright_srgb(once)), np.asarray(once))
    plain = decode(encoded(photo, "PNG", {}))
    assert upright_srgb(plain) is plain


def test_large_photos_are_decoded_one_at_a_time(
    photo: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = encoded(photo, "PNG", {}).getvalue()
    at_once, most = 0, []

    def slow(image: Image.Image) -> Image.Image:
        nonlocal at_once
        at_once += 1
        most.append(at_once)
        time.sleep(0.02)
        at_once -= 1
        return image.convert("RGB")

    monkeypatch.setattr(decode_module, "upright_srgb", slow)
    for limit, one_at_a_time in ((10, True), (160 * 104, False)):
        monkeypatch.setattr(decode_module, "LARGE_PIXELS", limit)
        most.clear()
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda _: decode(io.BytesIO(content)), range(6)))
        assert (max(most) == 1) is one_at_a_time


def test_formats_and_their_endings() -> None:
    assert {"JPEG", "PNG", "WEBP", "AVIF", "TIFF", "BMP", "GIF"} <= set(FORMATS)
    usual = ".jpg .jpeg .png .webp .avif .tif .bmp .gif .heic .mpo"
    assert set(usual.split()) <= EXTENSIONS
    assert not {".txt", ".pdf", ".eps", ".mp4"} & EXTENSIONS


def test_the_cap_on_pixels(photo: Image.Image) -> None:
    file = encoded(photo, "PNG", {})
    assert decode(file, max_pixels=160 * 104).size == (160, 104)
    with pytest.raises(PhotoError, match=r"160×104 .*over the cap.*raise max_pixels to 16640"):
        decode(file, max_pixels=160 * 104 - 1)


def test_pillows_own_limit_lowers_the_cap_only_where_its_reader_insists(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    png, tiff = (encoded(Image.new("RGB", (100, 100)), kind, {}) for kind in ("PNG", "TIFF"))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    assert decode(png).size == (100, 100)
    with pytest.raises(PhotoError, match="convert it to JPEG or PNG"):
        decode(tiff)


def test_a_bomb_is_refused_by_its_header() -> None:
    header = b"IHDR" + struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    checked = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    png = b"\x89PNG\r\n\x1a\n" + checked + struct.pack(">I", 10) + b"IDAT" + bytes(14)
    with pytest.raises(PhotoError, match=r"10000\.0 MP, over the cap of 256 MP"):
        decode(io.BytesIO(png))


def test_pillows_settings_stay_as_they_are(photo: Image.Image) -> None:
    before = (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, dict(Image.OPEN))
    good, bad = encoded(photo, "JPEG", {}).getvalue(), encoded(photo, "JPEG", {}).getvalue()[:900]
    during = set()

    def work() -> None:
        for data in (good, bad) * 5:
            during.add((Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES))
            with contextlib.suppress(PhotoError):
                decode(io.BytesIO(data))

    with ThreadPoolExecutor(4) as pool:
        for _ in range(4):
            pool.submit(work)
    assert during == {before[:2]}
    assert (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, dict(Image.OPEN)) == before


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "the file is empty"),
        (b"hello, I am no photo at all", "not a photo in a format that is read here"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "not a photo in a format"),
        (b"\x89PNG\r\n\x1a\n", "damaged or truncated"),
        (b"\xff\xd8\xff\xe0", "damaged or truncated"),
    ],
)
def test_errors_name_the_file_and_say_what_to_do(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "shown in error.jpg"
    path.write_bytes(content)
    with pytest.raises(PhotoError) as caught:
        decode(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert says in str(caught.value)
    with pytest.raises(PhotoError, match="no such file"):
        decode(tmp_path / "none.jpg")


@pytest.mark.skipif(os.name == "nt", reason="no such files there")
def test_only_ordinary_files_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    os.mkfifo("pipe.jpg")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket.jpg")
        for name, kind in (
            ("pipe.jpg", "a named pipe"),
            ("socket.jpg", "a socket"),
            (os.devnull, "a device"),
        ):
            with pytest.raises(PhotoError, match=f"{name}: is {kind}; only ordinary files"):
                decode(name)
    Image.new("L", (9, 9)).save("photo.png")
    Path("link.png").symlink_to("photo.png")
    assert decode("link.png").size == (9, 9)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path: Path, photo: Image.Image) -> None:
    path = tmp_path / "secret.png"
    photo.save(path)
    path.chmod(0)
    with pytest.raises(PhotoError, match="permissions"):
        decode(path)


def test_heic_with_its_extra(photo: Image.Image) -> None:
    pillow_heif = pytest.importorskip("pillow_heif", reason="the extra [heic] is not installed")
    file = io.BytesIO()
    pillow_heif.from_pillow(photo).save(file, quality=95, exif=turned(6).tobytes())
    decoded = decode_photo(file)
    assert decoded.image.size == (decoded.width, decoded.height) == photo.size[::-1]
    upright = np.asarray(photo.transpose(Image.Transpose.ROTATE_270)).astype(int)
    assert np.abs(np.asarray(decoded.image) - upright).mean() < 4
    with pytest.raises(PhotoError, match="over the cap"):
        decode(file, max_pixels=10)


SHARED = (b"mif1", b"msf1")


def ftyp(major: bytes, *compatible: bytes) -> bytes:
    brands = major + bytes(4) + b"".join(compatible)
    return (8 + len(brands)).to_bytes(4, "big") + b"ftyp" + brands


@pytest.mark.parametrize(
    ("major", "compatible"),
    [
        *((major, rest) for major in SHARED for rest in ((b"mif1", b"heic"), (b"heic",), ())),
        (b"heic", ()),
        (b"heic", (b"mif1", b"avif", b"heic")),
    ],
)
def test_heic_without_its_extra_names_the_extra(
    major: bytes, compatible: tuple[bytes, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    for rest in (bytes(40), b"avif" * 10):  # what follows the box is not read as brands
        with pytest.raises(PhotoError, match=r"pip install 'shamisa\[heic\]'"):
            decode(io.BytesIO(ftyp(major, *compatible) + rest))


@pytest.mark.parametrize("major", SHARED)
def test_heic_goes_to_pillow_heif_from_its_first_byte(
    major: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = ftyp(major, b"heic") + bytes(40)

    def open_heif(file: io.BytesIO, **_: bool) -> SimpleNamespace:
        assert file.read() == content
        return SimpleNamespace(size=(4, 3), to_pillow=lambda: Image.new("RGB", (4, 3)))

    monkeypatch.setitem(sys.modules, "pillow_heif", SimpleNamespace(open_heif=open_heif))
    assert decode(io.BytesIO(content)).size == (4, 3)


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow was built without AVIF")
@pytest.mark.parametrize("major", SHARED)
def test_avif_under_a_shared_brand(major: bytes) -> None:
    file = io.BytesIO()
    Image.radial_gradient("L").resize((48, 36)).convert("RGB").save(file, "AVIF")
    content = file.getvalue()
    assert content[8:12] == b"avif"
    assert b"avif" in content[16 : int.from_bytes(content[:4], "big")]
    renamed = content[:8] + major + content[12:]
    assert np.array_equal(decode(io.BytesIO(renamed)), decode(file))
    with pytest.raises(PhotoError, match="damaged or truncated"):
        decode(io.BytesIO(ftyp(major, b"miaf", b"avif") + bytes(40)))
