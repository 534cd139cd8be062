"""Photos in memory: arrays and tensors to Pillow images, and images to tensors."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from shamisa_cli.errors import PhotoError
from shamisa_cli.imaging.color import to_srgb

_CHANNELS = (1, 3, 4)


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
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in _CHANNELS):
        fix = _turned(array.shape, "array.transpose(1, 2, 0)", channels=0)
        raise PhotoError(
            f"expected an array (H, W), (H, W, 3) or (H, W, 4), got {array.shape}{fix}"
        )
    if array.size == 0:
        raise PhotoError(f"expected an array with pixels, got shape {array.shape}")
    squeezed = array[:, :, 0] if array.ndim == 3 and array.shape[2] == 1 else array
    return to_srgb(Image.fromarray(np.ascontiguousarray(_as_8_bit(squeezed))))


def photo_from_tensor(pixels: Tensor) -> Image.Image:
    """8-bit RGB from a tensor (C, H, W) on any device; C, types and ranges as for arrays.

    Raises
    ------
    PhotoError
        for another shape, type or range.
    """
    shape = tuple(pixels.shape)
    if pixels.ndim != 3 or shape[0] not in _CHANNELS:
        fix = _turned(shape, "tensor.permute(2, 0, 1)", channels=-1)
        raise PhotoError(f"expected a tensor (C, H, W) with C = 1, 3 or 4, got {shape}{fix}")
    if pixels.is_floating_point():
        pixels = pixels.float()  # NumPy has no bfloat16
    return photo_from_array(pixels.detach().permute(1, 2, 0).cpu().numpy())


def to_tensor(image: Image.Image) -> Tensor:
    """(3, H, W) float32 in [0, 1], contiguous, of an 8-bit RGB image."""
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()
    return pixels.float().div_(255)


def to_image(pixels: Tensor) -> Image.Image:
    """The 8-bit RGB image of ``pixels`` (3, H, W) in [0, 1] on any device, rounded to nearest."""
    rounded = pixels.mul(255).round_().to("cpu", torch.uint8)
    return Image.fromarray(rounded.permute(1, 2, 0).contiguous().numpy())


def _turned(shape: tuple[int, ...], fix: str, channels: int) -> str:
    """Advice where the ``channels`` are in another place than they should be."""
    return f"; use {fix}" if len(shape) == 3 and shape[channels] in _CHANNELS else ""


def _as_8_bit(array: np.ndarray) -> np.ndarray:
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.uint16:
        return np.rint(array / 257).astype(np.uint8)
    if array.dtype.kind != "f":
        fix = "; turn whole numbers in [0, 255] into uint8" if array.dtype.kind in "iu" else ""
        raise PhotoError(f"expected uint8, uint16 or floats in [0, 1], got {array.dtype}{fix}")
    low, high = float(array.min()), float(array.max())
    if np.isnan(low):
        raise PhotoError("expected floats in [0, 1], got NaN: not a number")
    if low < 0 or high > 1:
        fix = "undo their normalization" if low < 0 else "divide pixels in [0, 255] by 255"
        fix = "clip them" if low > -0.5 and high < 1.5 else fix
        raise PhotoError(f"expected floats in [0, 1], got {low:.4g} to {high:.4g}; {fix}")
    return np.rint(array.astype(np.float64) * 255).astype(np.uint8)
