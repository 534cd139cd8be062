"""Camera RAW files made by hand (DNG 1.4 and TIFF/EP), which LibRaw opens."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence

import numpy as np
from PIL import Image

BYTE, ASCII, SHORT, LONG, RATIONAL, SRATIONAL = 1, 2, 3, 4, 5, 10
_CODES = {BYTE: "B", ASCII: "B", SHORT: "H", LONG: "I", RATIONAL: "I", SRATIONAL: "i"}
_SIZES = {BYTE: 1, ASCII: 1, SHORT: 2, LONG: 4, RATIONAL: 4, SRATIONAL: 4}

Tag = tuple[int, Sequence[int]]
"""Type and numbers; of a fraction the two parts."""

CFA = 32803
_XYZ_TO_SRGB = (32405, -15371, -4985, -9693, 18760, 416, 556, -2040, 10572)


def dng(
    mosaic: np.ndarray,
    *,
    preview: bytes = b"",
    orientation: int = 1,
    thumbnail: Image.Image | None = None,
    version: bool = True,
    camera: str = "Made by hand",
) -> bytes:
    """A DNG of a Bayer mosaic (H, W) uint16: a thumbnail first, then the mosaic and a preview.

    Without ``version`` it is laid out as a NEF is, and says nowhere that it is a DNG. ``camera`` is
    maker and model.
    """
    small = thumbnail or Image.new("RGB", (16, 12))
    height, width = mosaic.shape
    first = _picture(small.size, 2, 1, 1) | {
        271: (ASCII, camera.split()[0].encode() + b"\0"),
        272: (ASCII, camera.encode() + b"\0"),
        274: (SHORT, [orientation]),
    }
    if version:
        first |= {
            50706: (BYTE, [1, 4, 0, 0]),
            50708: (ASCII, b"Made by hand\0"),
            50721: (SRATIONAL, [part for value in _XYZ_TO_SRGB for part in (value, 10000)]),
            50728: (RATIONAL, [1, 1] * 3),
            50778: (SHORT, [21]),
        }
    raw = _picture((width, height), CFA, 1, 0, bits=16, samples=1) | {
        33421: (SHORT, [2, 2]),
        33422: (BYTE, [0, 1, 1, 2]),
        50717: (LONG, [65535]),
    }
    below = [(raw, mosaic.astype("<u2").tobytes())]
    if preview:
        size = Image.open(io.BytesIO(preview)).size
        below.append((_picture(size, 6, 7, 1), preview))
    return tiff((first, small.tobytes()), below)


def _picture(
    size: tuple[int, int],
    photometric: int,
    compression: int,
    reduced: int,
    bits: int = 8,
    samples: int = 3,
) -> dict[int, Tag]:
    return {
        254: (LONG, [reduced]),
        256: (LONG, [size[0]]),
        257: (LONG, [size[1]]),
        258: (SHORT, [bits] * samples),
        259: (SHORT, [compression]),
        262: (SHORT, [photometric]),
        277: (SHORT, [samples]),
        278: (LONG, [size[1]]),
        284: (SHORT, [1]),
    }


def tiff(
    first: tuple[dict[int, Tag], bytes], below: Sequence[tuple[dict[int, Tag], bytes]] = ()
) -> bytes:
    """A little-endian TIFF of the picture ``first`` and those ``below`` it, as SubIFDs."""
    content = b"II*\0" + bytes(4)
    starts = []
    for tags, strip in [*below, first]:
        strip_at, content = len(content), content + strip + bytes(len(strip) % 2)
        tags = tags | {273: (LONG, [strip_at]), 279: (LONG, [len(strip)])}
        if below and len(starts) == len(below):
            tags[330] = (LONG, starts)
        start, content = _directory(tags, content)
        starts.append(start)
    return content[:4] + struct.pack("<I", starts[-1]) + content[8:]


def _directory(tags: dict[int, Tag], content: bytes) -> tuple[int, bytes]:
    """Where the directory starts, and ``content`` with it."""
    entries = b""
    for tag, (kind, values) in sorted(tags.items()):
        data = struct.pack(f"<{len(values)}{_CODES[kind]}", *values)
        count = len(values) // (2 if kind in (RATIONAL, SRATIONAL) else 1)
        if len(data) > 4:
            where = struct.pack("<I", len(content))
            content += data + bytes(len(data) % 2)
        else:
            where = data.ljust(4, b"\0")
        entries += struct.pack("<HHI", tag, kind, count) + where
    start = len(content)
    return start, content + struct.pack("<H", len(tags)) + entries + bytes(4)


def bayer(photo: Image.Image) -> np.ndarray:
    """The mosaic (H, W) uint16, red at the top left, of a photo with linear light from sRGB."""
    encoded = np.asarray(photo.convert("RGB")) / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    mosaic = linear[..., 1].copy()
    mosaic[::2, ::2], mosaic[1::2, 1::2] = linear[::2, ::2, 0], linear[1::2, 1::2, 2]
    return np.rint(mosaic * 65535).astype(np.uint16)
