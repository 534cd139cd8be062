"""Whether a person has rated a photo elsewhere than in the sidecar that we write."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from PIL import Image

from shamisa_cli.imaging.decode import MAX_PIXELS
from shamisa_cli.imaging.formats import open_photo
from shamisa_cli.scoring.xmp import MAX_BYTES, XmpError, rated_by_a_person

_RATING = 0x4746
"""The EXIF tag that Windows and cameras keep stars in."""
_PACKET = 700
"""The TIFF tag that XMP is in."""


def rated_in_photo(path: str) -> bool:
    """Whether XMP or EXIF in the photo itself rate it; not where these are missing or damaged."""
    try:
        with Path(path).open("rb") as file:
            image = open_photo(file, path, MAX_PIXELS)
            stars = image.getexif().get(_RATING)
            return bool(isinstance(stars, int) and stars) or _rated(_packet(image))
    except Exception:  # damaged EXIF raises nearly every kind, and the photo may be good
        return False


def rated_in_sidecar(path: Path) -> bool:
    """Whether a person's rating is in the XMP file ``path``, if there is one."""
    with suppress(OSError):
        if path.is_file() and path.stat().st_size <= MAX_BYTES:
            return _rated(path.read_bytes())
    return False


def _packet(image: Image.Image) -> bytes:
    """The XMP in a photo; empty if there is none."""
    tags: Any = getattr(image, "tag_v2", {})
    names = ("xmp", "XML:com.adobe.xmp")  # of PNG in earlier versions of Pillow
    found = next(filter(None, map(image.info.get, names)), None) or tags.get(_PACKET, b"")
    return found.encode() if isinstance(found, str) else bytes(found)


def _rated(packet: bytes) -> bool:
    with suppress(XmpError):
        return bool(packet) and rated_by_a_person(packet.rstrip(b"\0"))
    return False
