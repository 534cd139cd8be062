"""Which file formats are photos, and opening one of them, without touching Pillow's global state.

``Image.open`` is not used: its limit on pixels is a module global that also holds for every other
thread, and it tries formats (EPS, WMF, …) that start other programs.
"""

from __future__ import annotations

from typing import BinaryIO

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from shamisa_cli.errors import PhotoError

FORMATS: tuple[str, ...] = tuple(
    plugin.format
    for plugin in (
        JpegImagePlugin.JpegImageFile,
        PngImagePlugin.PngImageFile,
        WebPImagePlugin.WebPImageFile,
        AvifImagePlugin.AvifImageFile,
        TiffImagePlugin.TiffImageFile,
        BmpImagePlugin.BmpImageFile,
        GifImagePlugin.GifImageFile,
        PpmImagePlugin.PpmImageFile,
        Jpeg2KImagePlugin.Jpeg2KImageFile,
    )
)
"""Pillow's names of the formats that are read out of the box, likeliest first."""

EXTENSIONS: frozenset[str] = frozenset(
    extension
    for extension, name in Image.EXTENSION.items()
    if name in {*FORMATS, MpoImagePlugin.MpoImageFile.format}
) | {".heic", ".heif"}
"""Lower-case file name endings (with the dot) by which photos in a folder are known."""

_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
_HEIC_HINT = "HEIC photos need an extra: pip install 'shamisa[heic]'"


def open_photo(file: BinaryIO, name: str) -> Image.Image:
    """The photo in ``file`` with its header read and its pixels not yet decoded.

    Raises
    ------
    PhotoError
        if ``file`` is empty or not one of :data:`FORMATS`; HEIC without its extra names the extra.
    Exception
        whatever Pillow raises on a damaged header.
    """
    file.seek(0)
    prefix = file.read(16)
    if not prefix:
        raise PhotoError(f"{name}: the file is empty; copy or download it again")
    for format_name in FORMATS:
        factory, accept = Image.OPEN[format_name]
        if accept is not None and accept(prefix) is True:
            file.seek(0)
            return factory(file, name)
    if prefix[4:8] == b"ftyp" and prefix[8:12] in _HEIC_BRANDS:
        return _open_heic(file, name)
    raise PhotoError(
        f"{name}: not a photo in a format that is read here ({', '.join(FORMATS)}, HEIC); "
        "convert it, for example to PNG"
    )


def _open_heic(file: BinaryIO, name: str) -> Image.Image:
    """HEIC by pillow-heif, which is used directly so that Pillow's registry stays as it is."""
    try:
        import pillow_heif
    except ImportError as error:
        raise PhotoError(f"{name}: {_HEIC_HINT}") from error
    file.seek(0)
    return pillow_heif.open_heif(file, convert_hdr_to_8bit=True)[0]
