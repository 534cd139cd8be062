"""What can be scored: files, their content, Pillow images, arrays and tensors, one or many."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, TypeGuard, cast

import numpy as np
from PIL import Image
from torch import Tensor

from shamisa_cli.encoders.config import ViewingProtocol
from shamisa_cli.imaging.arrays import photo_from_array, photo_from_tensor
from shamisa_cli.imaging.decode import Decoded, decode_photo, unreadable, upright_srgb

File = str | Path | bytes | BinaryIO
"""A path; the content of a file; or an open binary file, which is read from its start."""

Photo = File | Image.Image | np.ndarray | Tensor
"""A file, a Pillow image, or pixels (see ``imaging.arrays``)."""

_KINDS = "a path, bytes, a binary file, a Pillow image, an array or a tensor"


def decode_any(photo: Photo, protocol: ViewingProtocol, max_pixels: int) -> Decoded:
    """``photo`` in memory, upright, in sRGB; at least as large as ``protocol`` looks at it.

    Raises
    ------
    PhotoError
        whatever is wrong with it; TypeError if it is no such thing.
    """
    if isinstance(photo, Image.Image):
        image = _upright(photo)
    elif isinstance(photo, np.ndarray):
        image = photo_from_array(photo)
    elif isinstance(photo, Tensor):
        image = photo_from_tensor(photo)
    else:
        short_side, max_side = protocol.short_side, protocol.max_side
        return decode_photo(
            _file(photo), max_pixels=max_pixels, short_side=short_side, max_side=max_side
        )
    return Decoded(image, *image.size)


def each_photo(photos: Iterable[Photo]) -> Iterator[Photo]:
    """One photo after the other, lazily; a batch (N, …) of pixels stands for its photos.

    Raises
    ------
    TypeError
        at once, if ``photos`` is one photo, or nothing that can be gone through.
    """
    fix = "put one photo in a list, score_many([photo]), or use score(photo)"
    if _is_pixels(photos) and not is_batch(photos):
        raise TypeError(f"expected a batch (N, …) of photos, got {tuple(photos.shape)}; {fix}")
    one = isinstance(photos, (str, bytes, bytearray, memoryview, os.PathLike, Image.Image))
    if one or hasattr(photos, "read") or not hasattr(photos, "__iter__"):
        raise TypeError(f"expected several photos, got {_named(photos)}; {fix}")
    return _flattened(iter(photos))


def is_batch(photo: object) -> TypeGuard[np.ndarray | Tensor]:
    """Whether these are pixels of several photos, (N, H, W, C) or (N, C, H, W)."""
    return _is_pixels(photo) and photo.ndim == 4


def path_of(photo: Photo) -> str:
    """What a row has as its path: the name of a file, as given; else nothing."""
    if isinstance(photo, (str, os.PathLike)):
        return os.fsdecode(photo)
    name = getattr(photo, "name", None) if hasattr(photo, "read") else None
    return name if isinstance(name, str) else ""


def _flattened(photos: Iterator[Photo]) -> Iterator[Photo]:
    for photo in photos:
        yield from photo if is_batch(photo) else (photo,)


def _is_pixels(photo: object) -> TypeGuard[np.ndarray | Tensor]:
    return isinstance(photo, Tensor) or (
        isinstance(photo, np.ndarray) and photo.dtype.kind in "biufc"
    )


def _file(photo: object) -> str | BinaryIO:
    """A path, or a file in which one can go back."""
    if isinstance(photo, (str, os.PathLike)):
        return os.fsdecode(photo)
    if isinstance(photo, (bytes, bytearray, memoryview)):
        return io.BytesIO(photo)
    if not hasattr(photo, "read"):
        raise TypeError(f"expected {_KINDS}, got {_named(photo)}")
    if isinstance(photo, io.TextIOBase):
        raise TypeError("expected a binary file, got one of text; open it with mode 'rb'")
    if hasattr(photo, "seekable") and photo.seekable():
        return cast(BinaryIO, photo)
    content = io.BytesIO(photo.read())
    content.name = getattr(photo, "name", None)
    return content


def _upright(photo: Image.Image) -> Image.Image:
    """:func:`upright_srgb` of an image that Pillow may not have decoded yet."""
    try:
        copy = photo.copy()
        copy.getexif().update(photo.getexif())  # a copy forgets what was set in memory
        return upright_srgb(copy)
    except Exception as error:  # Pillow's readers raise nearly every kind on damaged files
        raise unreadable(str(getattr(photo, "filename", "") or "this image"), error) from error


def _named(thing: object) -> str:
    """A path as it is; of anything else its type."""
    return repr(thing) if isinstance(thing, (str, os.PathLike)) else type(thing).__name__
