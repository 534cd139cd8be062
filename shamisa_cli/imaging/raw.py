"""Camera RAW files: told from other photos, and seen through the preview that the camera made.

A RAW file often begins like a TIFF that holds a thumbnail, which is not the photo. What is looked
at is the largest preview inside, as the camera or converter developed it. Where that is small or
missing, LibRaw develops the sensor's data (Adobe, "DNG Specification 1.7"; https://www.libraw.org).
"""

from __future__ import annotations

import io
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image

from shamisa_cli.errors import PhotoError, first_line
from shamisa_cli.imaging.formats import check_size, format_of, open_photo

_ENDINGS = """3fr arw cr2 cr3 crw dcr dng erf fff gpr iiq kdc mef mos mrw nef nrw orf pef raf rw2
rwl sr2 srf srw x3f"""
RAW_EXTENSIONS: frozenset[str] = frozenset(f".{ending}" for ending in _ENDINGS.split())
"""Lower-case file name endings of RAW photos."""

RAW_HINT = "RAW photos need an extra: pip install 'shamisa[raw]'"

PREVIEW_SIDE = 1000
"""A preview whose short side has so many px is looked at, and one half as large as the photo."""

_SIGNATURES = (
    b"FUJIFILMCCD-RAW",
    b"IIRO",  # Olympus
    b"IIRS",
    b"MMOR",
    b"IIU\0",  # Panasonic, Leica
    b"FOVb",  # Sigma
    b"\0MRM",  # Minolta
    b"II\x1a\0\0\0HEAPCCDR",  # Canon CRW
)
_PHOTOMETRIC, _SUB_DIRECTORIES = 262, 330
_OF_A_SENSOR = (32803, 34892)
"""Photometric interpretations: a color filter array, and its data as linear RGB."""

_MOST_DIRECTORIES = 16
_ORIENTATION = 0x0112
_ORIENTATIONS = {3: 3, 5: 8, 6: 6}
"""LibRaw's word for how the camera was held, and EXIF's."""

_DEVELOPING = threading.Lock()
"""One at a time: it takes 16 bytes a pixel, and LibRaw may have threads of its own."""


def is_raw(file: BinaryIO, name: str) -> bool:
    """Whether ``file`` is RAW, by its content; of TIFFs and unknown content the ending counts too.

    A TIFF is RAW, whatever its name, if one of its pictures is as the sensor saw it.
    """
    file.seek(0)
    prefix = file.read(16)
    if prefix.startswith(_SIGNATURES) or prefix[4:12] == b"ftypcrx ":
        return True
    known, ending = format_of(prefix), Path(name).suffix.lower() in RAW_EXTENSIONS
    if known == "TIFF":
        return ending or prefix[8:10] == b"CR" or _shows_sensor(file)
    return ending and known is None and bool(prefix) and prefix[4:8] != b"ftyp"


def raw_installed() -> bool:
    """Whether RAW files can be read here."""
    try:
        import rawpy  # noqa: F401
    except ImportError:
        return False
    return True


def open_raw(file: BinaryIO, name: str, max_pixels: int) -> Image.Image:
    """The photo in a RAW file: its largest preview, or developed with the camera's white balance.

    Its EXIF says how it is turned.

    Raises
    ------
    PhotoError
        if the extra is not installed, LibRaw cannot read the file, or it is over ``max_pixels``.
    """
    try:
        import rawpy
    except ImportError as error:
        raise PhotoError(f"{name}: {RAW_HINT}") from error
    file.seek(0)
    try:
        with rawpy.imread(file) as raw:
            photo = _preview(rawpy, raw, name, max_pixels)
            return _developed(raw, name, max_pixels) if photo is None else photo
    except rawpy.LibRawError as error:
        raise PhotoError(
            f"{name}: LibRaw cannot read this RAW photo ({_reason(error)}); copy it again, or "
            "develop it to JPEG or TIFF"
        ) from error


def _preview(rawpy: Any, raw: Any, name: str, max_pixels: int) -> Image.Image | None:
    """The largest preview if it is large enough, not decoded yet where it is a JPEG."""
    try:
        found = raw.extract_thumb()
    except rawpy.LibRawError:
        return None
    if found.format == rawpy.ThumbFormat.JPEG:
        photo = open_photo(io.BytesIO(found.data), name, max_pixels)
    elif found.format == rawpy.ThumbFormat.BITMAP:
        photo = Image.fromarray(found.data)
    else:
        return None
    if min(photo.size) < min(PREVIEW_SIDE, min(raw.sizes.width, raw.sizes.height) / 2):
        return None
    exif = photo.getexif()
    if _ORIENTATION not in exif:
        exif[_ORIENTATION] = _ORIENTATIONS.get(raw.sizes.flip, 1)
    return photo


def _developed(raw: Any, name: str, max_pixels: int) -> Image.Image:
    """8-bit sRGB, upright, from the sensor's data."""
    check_size((raw.sizes.width, raw.sizes.height), max_pixels, name)
    with _DEVELOPING:
        return Image.fromarray(raw.postprocess(use_camera_wb=True))


def _reason(error: Exception) -> str:
    said = error.args[0] if error.args else b""
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else first_line(error)


def _shows_sensor(file: BinaryIO) -> bool:
    """Whether a TIFF has a picture in the sensor's own color, in any of its first directories."""
    file.seek(0)
    order = "<" if file.read(2) == b"II" else ">"
    file.seek(4)
    waiting = _numbers(order, "I", file.read(4))
    seen: set[int] = set()
    while waiting and len(seen) < _MOST_DIRECTORIES:
        start = waiting.pop(0)
        if start == 0 or start in seen:
            continue
        seen.add(start)
        for tag, values in _entries(file, start, order):
            if tag == _PHOTOMETRIC and values[0] in _OF_A_SENSOR:
                return True
            if tag == _SUB_DIRECTORIES:
                waiting += values
        waiting += _numbers(order, "I", file.read(4))  # the directory that follows
    return False


def _entries(file: BinaryIO, start: int, order: str) -> Iterator[tuple[int, list[int]]]:
    """(tag, numbers) of the two tags that matter here; ``file`` then stands behind them all."""
    file.seek(start)
    count = sum(_numbers(order, "H", file.read(2)))
    block = file.read(12 * count)
    end = file.tell()
    for at in range(0, len(block) - 11, 12):
        tag, kind, n = struct.unpack(f"{order}HHI", block[at : at + 8])
        if tag not in (_PHOTOMETRIC, _SUB_DIRECTORIES) or kind not in (3, 4, 13):
            continue
        code, size = ("H", 2) if kind == 3 else ("I", 4)
        data = block[at + 8 : at + 12]
        if n * size > 4:
            file.seek(struct.unpack(f"{order}I", data)[0])
            data = file.read(size * min(n, _MOST_DIRECTORIES))
        values = _numbers(order, code, data[: n * size])
        if values:
            yield tag, values
    file.seek(end)


def _numbers(order: str, code: str, data: bytes) -> list[int]:
    """The whole numbers in ``data``; what is left over is passed by."""
    size = struct.calcsize(f"{order}{code}")
    return [
        value for (value,) in struct.iter_unpack(order + code, data[: len(data) // size * size])
    ]
