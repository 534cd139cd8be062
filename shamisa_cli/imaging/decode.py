"""Photos from files: any usual format to 8-bit sRGB, upright."""

from __future__ import annotations

import os
import threading
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from shamisa_cli.errors import PhotoError, first_line
from shamisa_cli.imaging.color import to_srgb
from shamisa_cli.imaging.folders import folder_error
from shamisa_cli.imaging.formats import open_photo
from shamisa_cli.imaging.resample import averaging_factor, viewing_size

MAX_PIXELS = 256_000_000
"""Default cap on width × height: about 1 GB once decoded."""

LARGE_PIXELS = 64_000_000
"""Photos that take more than 256 MB are decoded one at a time, whatever the number of threads."""

_ONE_AT_A_TIME = threading.Lock()
_ORIENTATION_TAG = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = {5, 6, 7, 8}
_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (FileNotFoundError, "no such file"),
    (PermissionError, "may not be read; check its permissions"),
    (MemoryError, "too large for this machine's memory"),
    (
        Image.DecompressionBombError,
        "too large for Pillow's reader of this format; convert it to JPEG or PNG",
    ),
)


@dataclass(frozen=True)
class Decoded:
    """A photo, and how large it is in its file.

    Attributes
    ----------
    image : 8-bit sRGB, upright; smaller than width × height where draft mode was allowed.
    width, height : px, upright, of the photo in its file.
    """

    image: Image.Image
    width: int
    height: int


def decode(
    source: str | Path | BinaryIO, *, max_pixels: int = MAX_PIXELS, short_side: int | None = None
) -> Image.Image:
    """The photo in ``source`` as 8-bit RGB, upright, in sRGB; see :func:`decode_photo`."""
    return decode_photo(source, max_pixels=max_pixels, short_side=short_side).image


def decode_photo(
    source: str | Path | BinaryIO,
    *,
    max_pixels: int = MAX_PIXELS,
    short_side: int | None = None,
    max_side: int | None = None,
) -> Decoded:
    """Read one photo: EXIF orientation, color profile, depth and transparency are seen to.

    Parameters
    ----------
    source : a path, or a seekable binary file.
    max_pixels : cap on width × height.
    short_side, max_side : px, what the caller will shrink the photo to at most. A JPEG may then be
        decoded at a fraction of its size, as ``resample`` would first shrink it anyhow.

    Raises
    ------
    PhotoError
        whenever there is no photo to be had; the message names the file and the mend.
    """
    name = str(source) if isinstance(source, (str, Path)) else getattr(source, "name", "photo")
    with ExitStack() as stack:
        try:
            file = source
            if isinstance(file, (str, Path)):
                file = stack.enter_context(Path(file).open("rb"))
            image = stack.enter_context(open_photo(file, name, max_pixels))
            full = _draft(image, short_side, max_side)
            large = image.width * image.height > LARGE_PIXELS
            with _ONE_AT_A_TIME if large else nullcontext():
                photo = upright_srgb(image)
            if full is None:
                full = photo.size
            elif _orientation(image) in _SIDEWAYS:
                full = full[::-1]
            return Decoded(photo, *full)
        except PhotoError:
            raise
        except Exception as error:  # Pillow's readers raise nearly every kind on damaged files
            raise unreadable(name, error) from error


def unreadable(name: str, error: Exception) -> PhotoError:
    """What to say of the photo or folder called ``name``, which could not be read for ``error``."""
    if isinstance(error, (IsADirectoryError, PermissionError)) and os.path.isdir(name):  # noqa: PTH112
        return folder_error(name)
    return PhotoError(f"{name}: {_reason(error)}")


def upright_srgb(image: Image.Image) -> Image.Image:
    """A Pillow image of any mode as 8-bit sRGB, turned as its EXIF says.

    ``image`` itself is returned where there is nothing to do; otherwise the result carries neither
    EXIF nor profile, so that neither can be followed a second time.
    """
    image.load()
    turn = _TURNS.get(_orientation(image))
    photo = to_srgb(image if turn is None else image.transpose(turn))
    if photo is not image:
        photo.info = {}
    return photo


def _draft(
    image: Image.Image, short_side: int | None, max_side: int | None
) -> tuple[int, int] | None:
    """Set draft mode where it is allowed, and then return the size of the photo in its file.

    Only factors that divide both sides are used: others would stretch the photo by a pixel.
    """
    size = image.size
    factor = averaging_factor(size, viewing_size(size, short_side, max_side))
    while size[0] % factor or size[1] % factor:
        factor //= 2
    if factor == 1 or image.format not in ("JPEG", "MPO"):
        return None
    image.draft(None, (size[0] // factor, size[1] // factor))
    return size


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation of a loaded photo; 1, which is upright, if there is none to be read.

    Pillow turns TIFF while it loads, and has then forgotten the tag.
    """
    try:
        orientation = image.getexif().get(_ORIENTATION_TAG, 1)
        return orientation if orientation in _TURNS else 1
    except Exception:  # damaged EXIF raises nearly every kind, and the pixels are still good
        return 1


def _reason(error: Exception) -> str:
    """What went wrong and how to mend it, for a person who has never heard of Pillow's classes."""
    for kind, reason in _REASONS:
        if isinstance(error, kind):
            return reason
    return f"damaged or truncated ({first_line(error)}); copy or download it again"
