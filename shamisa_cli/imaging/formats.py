"""Which file formats are photos, and opening one of them.

``Image.open(formats=...)`` is not used: its limit on pixels, under our cap, is a global of Pillow
that we leave as it is. Inside Pillow's readers of TIFF, WebP and GIF that limit (179 MP) holds.
"""

from __future__ import annotations

from typing import BinaryIO

from PIL import (  # each registers its format with Pillow
    AvifImagePlugin,  # noqa: F401
    BmpImagePlugin,  # noqa: F401
    GifImagePlugin,  # noqa: F401
    Image,
    Jpeg2KImagePlugin,  # noqa: F401
    JpegImagePlugin,  # noqa: F401
    MpoImagePlugin,  # noqa: F401
    PngImagePlugin,  # noqa: F401
    PpmImagePlugin,  # noqa: F401
    TiffImagePlugin,  # noqa: F401
    WebPImagePlugin,  # noqa: F401
)

from shamisa_cli.errors import PhotoError

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "TIFF", "BMP", "GIF", "PPM", "JPEG2000")
"""Pillow's names of the formats that are read out of the box, likeliest first."""

EXTENSIONS: frozenset[str] = frozenset(
    extension for extension, name in Image.EXTENSION.items() if name in {*FORMATS, "MPO"}
) | {".heic", ".heif"}
"""Lower-case file name endings (with the dot) by which photos in a folder are known."""

_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"}
_SHARED_BRANDS = {b"mif1", b"msf1"}
_AVIF_BRANDS = {b"avif", b"avis"}
_MOST_BRANDS = 256
_HEIC_HINT = "HEIC photos need an extra: pip install 'shamisa[heic]'"


def open_photo(file: BinaryIO, name: str, max_pixels: int) -> Image.Image:
    """The photo in ``file``, whose size is known and whose pixels may not be decoded yet.

    Raises
    ------
    PhotoError
        if ``file`` is empty, not one of :data:`FORMATS`, or over ``max_pixels``; for HEIC without
        its extra the message names that extra.
    Exception
        whatever Pillow raises on a damaged header.
    """
    file.seek(0)
    prefix = file.read(16)
    if not prefix:
        raise PhotoError(f"{name}: the file is empty; copy or download it again")
    if _is_heic(file, prefix):
        return _open_heic(file, name, max_pixels)
    format_name = format_of(prefix)
    if format_name is None:
        raise PhotoError(
            f"{name}: not a photo in a format that is read here ({', '.join(FORMATS)}, HEIC, "
            "camera RAW); convert it, for example to PNG"
        )
    file.seek(0)
    image = Image.OPEN[format_name][0](file, name)
    check_size(image.size, max_pixels, name)
    return image


def format_of(prefix: bytes) -> str | None:
    """Which of :data:`FORMATS` a file is that begins with ``prefix`` (16 bytes), if any."""
    for format_name in FORMATS:
        accept = Image.OPEN[format_name][1]
        if accept is not None and accept(prefix) is True:
            return format_name
    return None


def _is_heic(file: BinaryIO, prefix: bytes) -> bool:
    """Whether the "ftyp" box at the start of ``file`` says HEIC.

    Its major brand may be one that HEIC and AVIF share; then it is AVIF if AVIF is among the brands
    that it is compatible with, as in libavif.
    """
    if prefix[4:8] != b"ftyp" or prefix[8:12] not in _SHARED_BRANDS:
        return prefix[4:8] == b"ftyp" and prefix[8:12] in _HEIC_BRANDS
    file.seek(16)
    size = min(int.from_bytes(prefix[:4], "big") - 16, 4 * _MOST_BRANDS)
    brands = file.read(max(0, size))
    return not any(brands[n : n + 4] in _AVIF_BRANDS for n in range(0, len(brands), 4))


def check_size(size: tuple[int, int], max_pixels: int, name: str) -> None:
    """Refuse a photo of ``size`` (width, height) px that is over the cap."""
    pixels = size[0] * size[1]
    if pixels > max_pixels:
        raise PhotoError(
            f"{name}: {size[0]}×{size[1]} is {pixels / 1e6:.1f} MP, over the cap of "
            f"{max_pixels / 1e6:g} MP; if you trust the photo, raise max_pixels to {pixels}"
        )


def _open_heic(file: BinaryIO, name: str, max_pixels: int) -> Image.Image:
    """HEIC by pillow-heif, which is used directly so that Pillow's registry stays as it is."""
    try:
        import pillow_heif
    except ImportError as error:
        raise PhotoError(f"{name}: {_HEIC_HINT}") from error
    file.seek(0)
    photo = pillow_heif.open_heif(file, convert_hdr_to_8bit=True)
    check_size(photo.size, max_pixels, name)
    return photo.to_pillow()
