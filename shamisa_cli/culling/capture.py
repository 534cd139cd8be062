"""When, with which camera and how a photo was taken, by its EXIF."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image

from shamisa_cli.imaging.decode import MAX_PIXELS
from shamisa_cli.imaging.formats import open_photo
from shamisa_cli.imaging.raw import is_raw, open_raw

_Base, _Tag = ExifTags.Base, ExifTags.IFD
_TIMES = (
    (_Base.DateTimeOriginal, _Base.SubsecTimeOriginal, _Base.OffsetTimeOriginal),
    (_Base.DateTimeDigitized, _Base.SubsecTimeDigitized, _Base.OffsetTimeDigitized),
)


@dataclass(frozen=True)
class Capture:
    """What EXIF says of the moment.

    Attributes
    ----------
    time : s since 1970, by the camera's clock; None if EXIF does not tell.
    camera : make, model and serial number, as far as they are there.
    exposure : stops of light, log2(t·ISO/N²), up to a constant; None if not all are known.
    bias : exposure compensation, stops.
    seconds : how long the exposure took.
    distance : to what is in focus, m.
    """

    time: float | None = None
    camera: tuple[str, ...] = ()
    exposure: float | None = None
    bias: float | None = None
    seconds: float = 0.0
    distance: float | None = None


def read_capture(path: str) -> Capture:
    """What the EXIF of the photo ``path`` says; nothing where it is missing or damaged."""
    try:
        with Path(path).open("rb") as file:
            return capture_of(_exif(file, path))
    except Exception:  # damaged EXIF raises nearly every kind, and the photo may be good
        return Capture()


def capture_of(exif: Image.Exif) -> Capture:
    """:class:`Capture` of EXIF that was read."""
    inner = exif.get_ifd(_Tag.Exif)
    names = (exif.get(_Base.Make), exif.get(_Base.Model), inner.get(_Base.BodySerialNumber))
    seconds, aperture = _number(inner.get(_Base.ExposureTime)), _number(inner.get(_Base.FNumber))
    speed = _number(inner.get(_Base.ISOSpeedRatings))
    exposure = None
    if seconds and aperture and speed and min(seconds, aperture, speed) > 0:
        exposure = math.log2(seconds * speed / aperture**2)
    distance = _number(inner.get(_Base.SubjectDistance))
    return Capture(
        time=next(filter(None, (_time(inner, *tags) for tags in _TIMES)), None),
        camera=tuple(_text(name) for name in names if name),
        exposure=exposure,
        bias=_number(inner.get(_Base.ExposureBiasValue)),
        seconds=seconds if seconds and seconds > 0 else 0.0,
        distance=distance if distance and distance > 0 else None,
    )


def _exif(file: Any, path: str) -> Image.Exif:
    """Of a RAW file its own, where it is built as a TIFF is; else that of its preview."""
    if not is_raw(file, path):
        return open_photo(file, path, MAX_PIXELS).getexif()
    with suppress(Exception):
        file.seek(0)
        exif = Image.Exif()
        exif.load_from_fp(file)
        if exif.get_ifd(_Tag.Exif):
            return exif
    return open_raw(file, path, MAX_PIXELS).getexif()


def _time(inner: dict[int, Any], when: int, fraction: int, offset: int) -> float | None:
    try:
        moment = datetime.strptime(_text(inner.get(when)), "%Y:%m:%d %H:%M:%S")
    except ValueError:
        return None
    digits = _text(inner.get(fraction))
    part = float(f"0.{digits}") if digits.isascii() and digits.isdecimal() else 0.0
    return moment.replace(tzinfo=_zone(_text(inner.get(offset)))).timestamp() + part


def _zone(offset: str) -> timezone:
    """Of ``+02:00``; UTC if there is none, which is as good for differences."""
    try:
        return timezone(datetime.strptime(offset, "%z").utcoffset() or timedelta())
    except ValueError:
        return timezone.utc


def _number(value: Any) -> float | None:
    if isinstance(value, tuple):  # some cameras write ISO twice
        value = value[0] if value else None
    try:
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return number if math.isfinite(number) else None


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace")
    return str(value or "").strip("\0 ")
