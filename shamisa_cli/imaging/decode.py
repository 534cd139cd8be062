"""Photos from files: any usual format to 8-bit sRGB, upright."""

from __future__ import annotations

import os
import stat
import threading
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from PIL import Image, ImageOps

from shamisa_cli.errors import PhotoError, first_line
from shamisa_cli.imaging.color import to_srgb
from shamisa_cli.imaging.formats import open_photo
from shamisa_cli.imaging.paths import folder_error
from shamisa_cli.imaging.raw import is_raw, open_raw
from shamisa_cli.imaging.resample import averaging_factor, viewing_size

MAX_PIXELS = 256_000_000
"""Default cap on width × height: about 1 GB once decoded."""

LARGE_PIXELS = 64_000_000
"""Photos that take more than 256 MB are decoded one at a time, whatever the number of threads."""

_ONE_AT_A_TIME = threading.Lock()
_REASONS: dict[type[Exception], str] = {
    FileNotFoundError: "no such file",
    PermissionError: "may not be read; check its permissions",
    MemoryError: "too large for this machine's memory",
    Image.DecompressionBombError: "too large for Pillow's reader; convert it to JPEG or PNG",
}
_KINDS = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
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
    """Read one photo; EXIF orientation, color profile, depth and transparency are applied.

    Parameters
    ----------
    source : a path, or a seekable binary file.
    max_pixels : cap on width × height.
    short_side, max_side : px, what the caller will shrink the photo to at most. A JPEG may then be
        decoded at a fraction of its size, by which ``resample`` would first shrink it anyhow.

    Raises
    ------
    PhotoError
        whatever is wrong; the message names the file and says what to do.
    """
    name = source if isinstance(source, (str, Path)) else getattr(source, "name", None)
    name = str(name) if isinstance(name, (str, Path)) else "this photo"
    with ExitStack() as stack:
        try:
            file = source
            if isinstance(file, (str, Path)):
                _check_regular(name)
                file = stack.enter_context(Path(file).open("rb"))
            opener = open_raw if is_raw(file, name) else open_photo
            image = stack.enter_context(opener(file, name, max_pixels))
            factor = _draft(image, short_side, max_side)
            large = image.width * image.height > LARGE_PIXELS
            with _ONE_AT_A_TIME if large else nullcontext():
                photo = upright_srgb(image)
            return Decoded(photo, photo.width * factor, photo.height * factor)
        except PhotoError:
            raise
        except Exception as error:  # Pillow's readers raise nearly every kind on damaged files
            raise unreadable(name, error) from error


def _check_regular(name: str) -> None:
    """Refuse what may never end, or never begin, when it is read."""
    mode = Path(name).stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        kind = next((kind for test, kind in _KINDS if test(mode)), "something special")
        raise PhotoError(
            f"{name}: is {kind}; only ordinary files are read, so save the photo first"
        )


def unreadable(name: str, error: Exception) -> PhotoError:
    """The error for the photo or folder ``name``, which could not be read because of ``error``."""
    if isinstance(error, (IsADirectoryError, PermissionError)) and os.path.isdir(name):  # noqa: PTH112
        return folder_error(name)
    reasons = (reason for kind, reason in _REASONS.items() if isinstance(error, kind))
    damaged = f"damaged or truncated ({first_line(error)}); copy or download it again"
    return PhotoError(f"{name}: {next(reasons, damaged)}")


def upright_srgb(image: Image.Image) -> Image.Image:
    """``image`` (any mode) as 8-bit sRGB, turned as its EXIF says; ``image`` itself may change.

    The result carries neither EXIF nor profile, so that neither is followed a second time.
    """
    image.load()
    with suppress(Exception):  # damaged EXIF raises nearly every kind, and the pixels are good
        ImageOps.exif_transpose(image, in_place=True)
    photo = to_srgb(image)
    photo.info = {}
    return photo


def _draft(image: Image.Image, short_side: int | None, max_side: int | None) -> int:
    """Set draft mode where it is allowed; returns the factor by which it divides both sides.

    Other factors than divisors of both sides would stretch the photo by a pixel.
    """
    size = image.size
    factor = averaging_factor(size, viewing_size(size, short_side, max_side))
    while size[0] % factor or size[1] % factor:
        factor //= 2
    if factor > 1 and image.format in ("JPEG", "MPO"):
        image.draft(None, (size[0] // factor, size[1] // factor))
    return size[0] // image.width
