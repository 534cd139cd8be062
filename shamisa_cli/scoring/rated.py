"""Whether a photo is rated in its own file, as a person or a camera does it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image

from shamisa_cli.imaging.decode import MAX_PIXELS
from shamisa_cli.imaging.formats import open_photo
from shamisa_cli.scoring.xmp import rated_by_a_person

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
            packet = _packet(image).rstrip(b"\0")
            return bool(isinstance(stars, int) and stars) or (
                bool(packet) and rated_by_a_person(packet)
            )
    except Exception:  # damaged EXIF or XMP raises any kind, and the photo may be good
        return False


def _packet(image: Image.Image) -> bytes:
    """The XMP in a photo; empty if there is none."""
    tags: Any = getattr(image, "tag_v2", {})
    names = ("xmp", "XML:com.adobe.xmp")  # of PNG in earlier versions of Pillow
    found = next(filter(None, map(image.info.get, names)), None) or tags.get(_PACKET, b"")
    return found.encode() if isinstance(found, str) else bytes(found)
