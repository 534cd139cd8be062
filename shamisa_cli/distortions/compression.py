"""Compression by the real codecs: libjpeg and OpenJPEG, through Pillow, image by image in threads.

Codecs see 8-bit pixels on the CPU, whatever device the batch is on. Pillow gives up Python's lock
while it codes, so as many threads work as torch itself would use (``torch.get_num_threads``).
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np
import torch
from PIL import Image
from torch import Tensor


def jpeg(images: Tensor, native: Tensor, generator: torch.Generator) -> Tensor:
    """JPEG with libjpeg's quality ``native``, chroma subsampled 4:2:0."""
    return _through_codec(images, native, jpeg_bytes)


def jpeg2000(images: Tensor, native: Tensor, generator: torch.Generator) -> Tensor:
    """JPEG 2000 (9/7 wavelet) at the compression ratio ``native``: raw bytes over coded bytes."""
    return _through_codec(images, native, jpeg2000_bytes)


def jpeg_bytes(image: Image.Image, quality: int) -> bytes:
    """The JPEG file of ``image``."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, subsampling="4:2:0")
    return buffer.getvalue()


def jpeg2000_bytes(image: Image.Image, ratio: int) -> bytes:
    """The JPEG 2000 codestream of ``image``."""
    buffer = io.BytesIO()
    image.save(
        buffer,
        "JPEG2000",
        quality_mode="rates",
        quality_layers=[ratio],
        irreversible=True,
        no_jp2=True,
    )
    return buffer.getvalue()


def _through_codec(
    images: Tensor, native: Tensor, encode: Callable[[Image.Image, int], bytes]
) -> Tensor:
    """Every image to 8 bits, through ``encode`` and the decoder, and back to [0, 1]."""
    pixels = images.mul(255).round_().to("cpu", torch.uint8).numpy()
    coded = np.empty_like(pixels)

    def work(position: int) -> None:
        image = Image.merge("RGB", [Image.fromarray(plane) for plane in pixels[position]])
        with Image.open(io.BytesIO(encode(image, int(native[position])))) as decoded:
            for plane, band in zip(coded[position], decoded.split(), strict=True):
                plane[:] = np.asarray(band)

    threads = torch.get_num_threads()
    if threads == 1 or len(images) == 1:
        for position in range(len(images)):
            work(position)
    else:
        list(_pool(os.getpid(), threads).map(work, range(len(images))))
    return torch.from_numpy(coded).to(images.device).to(images.dtype).div_(255)


@lru_cache(maxsize=1)
def _pool(process: int, threads: int) -> ThreadPoolExecutor:
    """The codec threads of this process; a forked data worker inherits none and makes its own."""
    return ThreadPoolExecutor(threads, thread_name_prefix="shamisa-codec")
