"""Small ICC profiles made by hand (ICC.1:2001-04), whose effect on a picture is known exactly."""

from __future__ import annotations

import struct

_SRGB_COLUMNS = (
    (0.43607, 0.22249, 0.01392),
    (0.38515, 0.71687, 0.09708),
    (0.14307, 0.06061, 0.7141),
)
"""Red, green and blue of sRGB in the profile connection space (D50)."""


def rgb_profile(order: tuple[int, int, int] = (0, 1, 2), gamma: float | None = None) -> bytes:
    """sRGB with its primaries in another ``order``; with ``gamma`` in place of sRGB's own curve."""
    curve = _gamma_curve(gamma) if gamma else _srgb_curve()
    tags = {
        tag: _xyz(*_SRGB_COLUMNS[i])
        for tag, i in zip((b"rXYZ", b"gXYZ", b"bXYZ"), order, strict=True)
    }
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    return _profile(b"mntr", b"RGB ", b"XYZ ", tags)


def gray_profile(gamma: float) -> bytes:
    """A gray profile with a plain power curve."""
    return _profile(b"mntr", b"GRAY", b"XYZ ", {b"kTRC": _gamma_curve(gamma)})


def inverted_cmyk_profile() -> bytes:
    """A CMYK profile in which no ink at all is black, and full black ink is white."""
    identity = bytes(range(256))
    corners = b"".join(
        bytes((255 if corner & 1 else 0, 128, 128)) for corner in range(16)
    )  # the last ink, K, varies fastest
    matrix = struct.pack(">9i", *(65536 if i % 4 == 0 else 0 for i in range(9)))
    table = (
        b"mft1" + bytes(4) + bytes((4, 3, 2, 0)) + matrix + identity * 4 + corners + identity * 3
    )
    return _profile(b"prtr", b"CMYK", b"Lab ", {b"A2B0": table})


def _profile(kind: bytes, space: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    description = b"made for a test"
    tags = tags | {
        b"desc": b"desc"
        + bytes(4)
        + struct.pack(">I", len(description) + 1)
        + description
        + bytes(79),
        b"cprt": b"text" + bytes(4) + b"none\0",
        b"wtpt": _xyz(0.9642, 1.0, 0.8249),
    }
    table, content = b"", b""
    start = 128 + 4 + 12 * len(tags)
    for tag, value in tags.items():
        table += tag + struct.pack(">II", start + len(content), len(value))
        content += value + bytes(-len(value) % 4)
    body = struct.pack(">I", len(tags)) + table + content
    header = struct.pack(
        ">I4sI4s4s4s", 128 + len(body), b"test", 0x02400000, kind, space, connection
    )
    header += struct.pack(">6H", 2024, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    header += struct.pack(">3i", *(round(v * 65536) for v in (0.9642, 1.0, 0.8249)))
    return header.ljust(128, b"\0") + body


def _xyz(*values: float) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(v * 65536) for v in values))


def _gamma_curve(gamma: float) -> bytes:
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256))


def _srgb_curve() -> bytes:
    encoded = (i / 1023 for i in range(1024))
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in encoded]
    points = struct.pack(">1024H", *(round(v * 65535) for v in linear))
    return b"curv" + bytes(4) + struct.pack(">I", 1024) + points
