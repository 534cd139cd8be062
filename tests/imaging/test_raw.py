"""Camera RAW: told from other photos, seen through its preview, developed where there is none."""

from __future__ import annotations

import io
import struct
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from raw_files import CFA, LONG, SHORT, bayer, dng, tiff

from shamisa_cli.errors import PhotoError
from shamisa_cli.imaging.decode import decode, decode_photo
from shamisa_cli.imaging.paths import expand_paths
from shamisa_cli.imaging.raw import RAW_EXTENSIONS, is_raw

TURNED = {1: None, 3: "ROTATE_180", 6: "ROTATE_270", 8: "ROTATE_90"}
"""How what is stored under each orientation is turned to be upright."""


def jpeg(photo: Image.Image, **options: Any) -> bytes:
    file = io.BytesIO()
    photo.save(file, "JPEG", quality=95, **options)
    return file.getvalue()


def upright(photo: Image.Image, orientation: int) -> Image.Image:
    turn = TURNED[orientation]
    return photo if turn is None else photo.transpose(Image.Transpose[turn])


@pytest.fixture
def small(sample_photos: list[Image.Image]) -> Image.Image:
    return sample_photos[0].resize((320, 212))


@pytest.fixture
def preview(sample_photos: list[Image.Image]) -> bytes:
    """A JPEG of 640×424, as large as the mosaics of the tests or larger."""
    return jpeg(sample_photos[0].resize((640, 424)))


@pytest.mark.parametrize("orientation", TURNED)
def test_the_preview_of_a_dng_is_looked_at_upright(
    small: Image.Image, preview: bytes, orientation: int
) -> None:
    pytest.importorskip("rawpy", reason="the extra [raw] is not installed")
    content = dng(bayer(small), preview=preview, orientation=orientation)
    decoded = decode_photo(io.BytesIO(content))
    expected = upright(decode(io.BytesIO(preview)), orientation)
    assert np.array_equal(decoded.image, expected)
    assert (decoded.width, decoded.height) == expected.size
    assert decode_photo(io.BytesIO(content), short_side=100).image.size < expected.size  # draft


@pytest.mark.parametrize("camera", ["NIKON D70", "PENTAX K-1"])
def test_a_file_as_cameras_write_it_is_not_its_thumbnail(
    small: Image.Image, preview: bytes, camera: str, tmp_path: Path
) -> None:
    pytest.importorskip("rawpy", reason="the extra [raw] is not installed")
    path = tmp_path / "photo.nef"
    mosaic = bayer(small.resize((640, 424)))
    path.write_bytes(dng(mosaic, preview=preview, version=False, camera=camera))
    with Image.open(path) as image:
        assert image.size == (16, 12)  # what Pillow sees
    assert np.array_equal(decode(path), decode(io.BytesIO(preview)))


@pytest.mark.parametrize("orientation", TURNED)
def test_without_a_preview_it_is_developed(small: Image.Image, orientation: int) -> None:
    pytest.importorskip("rawpy", reason="the extra [raw] is not installed")
    content = dng(bayer(small), orientation=orientation, thumbnail=Image.new("RGB", (64, 42)))
    developed = np.asarray(decode(io.BytesIO(content)), float)
    photo = np.asarray(upright(small, orientation), float)
    assert developed.shape == photo.shape
    assert np.corrcoef(developed.ravel(), photo.ravel())[0, 1] > 0.95


def test_a_preview_too_small_for_the_photo_is_not_looked_at(
    small: Image.Image, preview: bytes
) -> None:
    pytest.importorskip("rawpy", reason="the extra [raw] is not installed")
    half, less = (jpeg(small.resize((w, w * 2 // 3))) for w in (160, 158))
    assert decode(io.BytesIO(dng(bayer(small), preview=half))).width == 160
    assert decode(io.BytesIO(dng(bayer(small), preview=less))).size == small.size


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_errors_of_raw_files(small: Image.Image, preview: bytes, tmp_path: Path) -> None:
    pytest.importorskip("rawpy", reason="the extra [raw] is not installed")
    path = tmp_path / "photo.NEF"
    path.write_bytes(tiff(plain(small)))
    with pytest.raises(PhotoError, match=r"photo\.NEF: LibRaw cannot read this RAW photo \(Unsup"):
        decode(path)
    for content in (dng(bayer(small)), dng(bayer(small), preview=preview)):
        with pytest.raises(PhotoError, match="over the cap"):
            decode(io.BytesIO(content), max_pixels=1000)
    content = dng(bayer(small), preview=preview)
    for length in range(16, len(content), len(content) // 60):
        with pytest.raises(PhotoError, match=r"LibRaw cannot read|damaged or truncated"):
            decode(io.BytesIO(content[:length]), max_pixels=10_000_000)


def plain(photo: Image.Image) -> tuple[dict, bytes]:
    """A directory of an ordinary picture, for ``tiff``."""
    tags = {
        254: (LONG, [0]),
        256: (LONG, [photo.width]),
        257: (LONG, [photo.height]),
        258: (SHORT, [8, 8, 8]),
        259: (SHORT, [1]),
        262: (SHORT, [2]),
        277: (SHORT, [3]),
        278: (LONG, [photo.height]),
    }
    return tags, photo.tobytes()


def without_the_extra(content: bytes, name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    decode(path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.cr2", b"II*\0\x10\0\0\0CR\2\0" + bytes(40)),
        ("a.tif", b"II*\0\x10\0\0\0CR\2\0" + bytes(40)),
        ("a", b"\0\0\0\x18ftypcrx \0\0\0\1crx isom" + bytes(40)),
        ("a.jpg", b"FUJIFILMCCD-RAW 0201FF" + bytes(40)),
        ("a.orf", b"IIRO\x08\0\0\0" + bytes(40)),
        ("a.rw2", b"IIU\0\x18\0\0\0" + bytes(40)),
        ("a.iiq", b"IIII\1\0\0\0" + bytes(40)),
        ("a.Nef", b"MM\0*" + bytes(40)),
    ],
)
def test_raw_without_its_extra_names_the_extra(
    name: str, content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "rawpy", None)
    with pytest.raises(PhotoError, match=rf"{name}: RAW photos .*pip install 'shamisa\[raw\]'"):
        without_the_extra(content, name, tmp_path)


@pytest.mark.parametrize("name", ["a.nef", "a.tif", "a.jpg", "a"])
def test_a_mosaic_below_a_thumbnail_is_raw_whatever_its_name(
    small: Image.Image, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "rawpy", None)
    with pytest.raises(PhotoError, match="RAW photos need an extra"):
        without_the_extra(dng(bayer(small), version=False), name, tmp_path)


def test_other_photos_are_no_raw_whatever_their_name(small: Image.Image, tmp_path: Path) -> None:
    assert not is_raw(io.BytesIO(tiff(plain(small))), "a.tif")
    assert np.array_equal(decode(io.BytesIO(tiff(plain(small)))), small)
    for kind in ("JPEG", "PNG", "WEBP"):
        file = io.BytesIO()
        small.save(file, kind)
        assert not is_raw(file, "a.dng")
    for content in (b"", b"\0\0\0\x18ftypmp42" + bytes(20)):
        assert not is_raw(io.BytesIO(content), "a.dng")
    with pytest.raises(PhotoError, match="the file is empty"):
        without_the_extra(b"", "a.cr2", tmp_path)


def test_damaged_directories_end(small: Image.Image) -> None:
    content = tiff(plain(small))
    for length in range(4, len(content), 997):
        assert not is_raw(io.BytesIO(content[:length]), "a.tif")
    start = struct.unpack("<I", content[4:8])[0]
    around = content[:-4] + struct.pack("<I", start)  # the directory is followed by itself
    assert not is_raw(io.BytesIO(around), "a.tif")
    by_page = plain(small)[0] | {330: (LONG, [start] * 60)}
    assert not is_raw(io.BytesIO(tiff((by_page, small.tobytes()))), "a.tif")
    below = tiff(plain(small), [({262: (SHORT, [CFA])}, b"")])
    assert is_raw(io.BytesIO(below), "a.tif")


class LibRawError(Exception):
    pass


def fake_rawpy(thumbnail: Any, flip: int, size: tuple[int, int]) -> SimpleNamespace:
    """As rawpy for one file, which has ``thumbnail``, or raises it."""

    class Raw:
        sizes = SimpleNamespace(width=size[0], height=size[1], flip=flip)

        def __enter__(self) -> Raw:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def extract_thumb(self) -> Any:
            if isinstance(thumbnail, Exception):
                raise thumbnail
            return thumbnail

        def postprocess(self, *, use_camera_wb: bool) -> np.ndarray:
            assert use_camera_wb
            return np.full((size[1], size[0], 3), 7, np.uint8)

    formats = SimpleNamespace(JPEG="jpeg", BITMAP="bitmap")
    return SimpleNamespace(imread=lambda file: Raw(), ThumbFormat=formats, LibRawError=LibRawError)


RAF = b"FUJIFILMCCD-RAW" + bytes(40)


@pytest.mark.parametrize(("flip", "orientation"), [(0, 1), (3, 3), (5, 8), (6, 6)])
@pytest.mark.parametrize("kind", ["jpeg", "bitmap"])
def test_a_preview_that_does_not_say_how_it_is_turned(
    small: Image.Image, monkeypatch: pytest.MonkeyPatch, kind: str, flip: int, orientation: int
) -> None:
    data = jpeg(small) if kind == "jpeg" else np.asarray(small)
    stored = decode(io.BytesIO(data)) if isinstance(data, bytes) else small
    thumbnail = SimpleNamespace(format=kind, data=data)
    monkeypatch.setitem(sys.modules, "rawpy", fake_rawpy(thumbnail, flip, small.size))
    assert np.array_equal(decode(io.BytesIO(RAF)), upright(stored, orientation))


def test_a_preview_that_says_so_itself_is_not_turned_twice(
    small: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 8
    thumbnail = SimpleNamespace(format="jpeg", data=jpeg(small, exif=exif))
    monkeypatch.setitem(sys.modules, "rawpy", fake_rawpy(thumbnail, 6, small.size))
    stored = decode(io.BytesIO(jpeg(small)))
    assert np.array_equal(decode(io.BytesIO(RAF)), upright(stored, 8))


@pytest.mark.parametrize(
    ("thumbnail", "developed"),
    [
        (LibRawError(b"no thumbnail"), True),
        (SimpleNamespace(format="other", data=b""), True),
        (SimpleNamespace(format="bitmap", data=np.zeros((999, 1800, 3), np.uint8)), True),
        (SimpleNamespace(format="bitmap", data=np.zeros((1000, 1800, 3), np.uint8)), False),
    ],
)
def test_when_a_photo_is_developed(
    monkeypatch: pytest.MonkeyPatch, thumbnail: Any, developed: bool
) -> None:
    monkeypatch.setitem(sys.modules, "rawpy", fake_rawpy(thumbnail, 0, (4000, 3000)))
    photo = decode(io.BytesIO(RAF))
    assert photo.size == ((4000, 3000) if developed else (1800, 1000))
    assert (np.asarray(photo)[0, 0, 0] == 7) is np.bool_(developed)


def test_folders_have_raw_photos_where_they_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert {".nef", ".cr2", ".cr3", ".arw", ".dng", ".orf", ".rw2", ".raf", ".pef"} < RAW_EXTENSIONS
    for name in ("a.jpg", "b.NEF", "c.txt", ".d.nef"):
        (tmp_path / name).touch()
    for module, expected, left_out in (
        (None, ["a.jpg"], {"b.NEF", "c.txt"}),
        (SimpleNamespace(), ["a.jpg", "b.NEF"], {"c.txt"}),
    ):
        monkeypatch.setitem(sys.modules, "rawpy", module)
        for pattern in (str(tmp_path), f"{tmp_path}/**"):
            passed_by: set[Path] = set()
            found = expand_paths([pattern], pass_by=passed_by.add)
            assert [Path(path).name for path in found] == expected
            assert {path.name for path in passed_by} == left_out
