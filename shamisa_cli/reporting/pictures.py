"""The small pictures of a report: thumbnails, and previews of photos that no browser shows."""

from __future__ import annotations

import io
from dataclasses import dataclass

from PIL import Image

from shamisa_cli.errors import PhotoError
from shamisa_cli.imaging.decode import MAX_PIXELS, decode_photo
from shamisa_cli.imaging.resample import resize, viewing_size
from shamisa_cli.reporting.photos import PhotoFile

THUMBNAIL_SIDE = 256
"""px, the longer side: two for each px of a page on a sharp screen."""

PREVIEW_SIDE = 1280
"""px, the longer side of what stands in for a photo that no browser shows."""

_QUALITY = {THUMBNAIL_SIDE: 60, PREVIEW_SIDE: 75}


@dataclass(frozen=True)
class Pictures:
    """What the page shows of one photo, in WebP; None where there is nothing.

    Attributes
    ----------
    thumbnail, preview : contents of picture files.
    problem : why there is no thumbnail.
    """

    thumbnail: bytes | None = None
    preview: bytes | None = None
    problem: str = ""


def make_pictures(photo: PhotoFile) -> Pictures:
    """Decode ``photo`` once, a JPEG in draft mode, and shrink it."""
    if not photo.drawn:
        return Pictures(problem=photo.gone)
    side = THUMBNAIL_SIDE if photo.shown else PREVIEW_SIDE
    trusted = (photo.row.width or 0) * (photo.row.height or 0)  # it was scored at that size
    try:
        image = decode_photo(photo.path, max_pixels=max(MAX_PIXELS, trusted), max_side=side).image
        preview = None if photo.shown else encode_picture(image, PREVIEW_SIDE)
        return Pictures(encode_picture(image, THUMBNAIL_SIDE), preview)
    except PhotoError as error:
        return Pictures(problem=str(error).removeprefix(f"{photo.path}: "))


def encode_picture(image: Image.Image, side: int) -> bytes:
    """``image`` with its longer side ``side`` px, one of the two above, as WebP."""
    content = io.BytesIO()
    small = resize(image, viewing_size(image.size, None, side))
    small.save(content, "WEBP", quality=_QUALITY[side], method=2)
    return content.getvalue()
