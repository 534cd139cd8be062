"""Pictures to files, with the mark by which they are known as ours."""

from __future__ import annotations

from pathlib import Path

from PIL import ExifTags, Image

from shamisa_cli.files import MARK, replacing

PNG_LEVEL = 3
"""Of zlib. Of a map drawn over a photo it makes a file that is 12 % smaller than Pillow's default
level does, in less than half the time."""


def marked_exif() -> Image.Exif:
    """EXIF whose only entry, Software, is the mark."""
    exif = Image.Exif()
    exif[ExifTags.Base.Software] = MARK
    return exif


def save_picture(image: Image.Image, path: Path) -> None:
    """Write ``image`` in the format of the ending of ``path``, all at once.

    Formats without EXIF (BMP, GIF and the like) carry no mark.

    Raises
    ------
    OSError, ValueError, KeyError
        if the format cannot hold the picture, or is unknown, or the system refuses to write.
    """
    kind = Image.registered_extensions()[path.suffix.lower()]
    with replacing(path) as part:
        image.save(part, kind, exif=marked_exif(), compress_level=PNG_LEVEL)
