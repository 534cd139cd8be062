"""Photos in memory: arrays and tensors to Pillow images, and images to tensors."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from shamisa_cli.errors import PhotoError
from shamisa_cli.imaging.color import to_srgb


def photo_from_array(array: np.ndarray) -> Image.Image:
    """8-bit RGB from an array of pixels.

    Parameters
    ----------
    array : (H, W) or (H, W, C) with C = 1 (gray), 3 (RGB) or 4 (RGBA, laid over white); uint8,
        uint16 (65535 is white) or floats in [0, 1].

    Raises
    ------
    PhotoError
        for another shape, type or range.
    """
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise PhotoError(f"expected an array (H, W), (H, W, 3) or (H, W, 4), got {array.shape}")
    if array.size == 0:
        raise PhotoError(f"expected an array with pixels, got shape {array.shape}")
    squeezed = array[:, :, 0] if array.ndim == 3 and array.shape[2] == 1 else array
    return to_srgb(Image.fromarray(np.ascontiguousarray(_as_8_bit(squeezed))))


def to_tensor(image: Image.Image) -> Tensor:
    """(3, H, W) float32 in [0, 1], contiguous, of an 8-bit RGB image."""
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()
    return pixels.float().div_(255)


def to_image(pixels: Tensor) -> Image.Image:
    """The 8-bit RGB image of ``pixels`` (3, H, W) in [0, 1] on any device, rounded to nearest."""
    rounded = pixels.mul(255).round_().to("cpu", torch.uint8)
    return Image.fromarray(rounded.permute(1, 2, 0).contiguous().numpy())


def _as_8_bit(array: np.ndarray) -> np.ndarray:
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.uint16:
        return np.rint(array / 257).astype(np.uint8)
    if array.dtype.kind != "f":
        raise PhotoError(f"expected uint8, uint16 or floats in [0, 1], got {array.dtype}")
    if not (np.isfinite(array).all() and array.min() >= 0 and array.max() <= 1):
        raise PhotoError("expected floats in [0, 1]; for pixels in [0, 255] use .astype('uint8')")
    return np.rint(array * 255).astype(np.uint8)
