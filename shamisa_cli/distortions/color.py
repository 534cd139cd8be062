"""Color: diffusion, shift of the green channel, two saturations (KADID-10k)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from shamisa_cli.distortions.colorspace import lab_to_rgb, rgb_to_gray, rgb_to_lab
from shamisa_cli.distortions.convolution import gaussian_blur
from shamisa_cli.distortions.draws import host_uniform, per_image

EDGE_SIGMA = 4.0
"""σ in px of the Gaussian that smooths the gradient magnitude of :func:`color_shift`."""


def color_diffusion(images: Tensor, native: Tensor, generator: torch.Generator) -> Tensor:
    """In CIELab, blur a* and b* with σ = 1.5a + 2 px, then multiply them by a = ``native``."""
    lab = rgb_to_lab(images)
    lab[:, 1:] = gaussian_blur(lab[:, 1:], 1.5 * native + 2) * per_image(native, images)
    return lab_to_rgb(lab)


def color_shift(images: Tensor, native: Tensor, generator: torch.Generator) -> Tensor:
    """Shift the green channel by ``native`` px in a direction drawn per image, near edges only.

    The shifted channel is blended in by the smoothed gradient magnitude of the gray image, rescaled
    to [0, 1] in each image. The displacement is rounded to whole pixels; the border is replicated.
    """
    angle = host_uniform((len(native),), generator) * (2 * math.pi)
    rows = torch.round(native * torch.sin(angle)).long()
    columns = torch.round(native * torch.cos(angle)).long()
    green = images[:, 1]
    edges = _edge_weight(images)[:, 0]
    shifted = _translate(green, rows, columns)
    result = images.clone()
    result[:, 1] += (shifted - green) * edges
    return result


def color_saturation_1(images: Tensor, native: Tensor, generator: torch.Generator) -> Tensor:
    """Multiply the HSV saturation by ``native``; a negative factor turns to the opposite hues.

    In HSV every channel is V·(1 − S·k(H)) with V = max(R, G, B), so scaling S by f gives
    V − f·(V − channel).
    """
    value = images.amax(1, keepdim=True)
    return torch.lerp(value.expand_as(images), images, per_image(native, images))


def color_saturation_2(images: Tensor, native: Tensor, generator: torch.Generator) -> Tensor:
    """Multiply CIELab's a* and b* by ``native``."""
    lab = rgb_to_lab(images)
    lab[:, 1:] *= per_image(native, images)
    return lab_to_rgb(lab)


def _edge_weight(images: Tensor) -> Tensor:
    """(N, 1, H, W) in [0, 1]: forward-difference gradient magnitude, smoothed, rescaled."""
    gray = rgb_to_gray(images)
    squared = torch.zeros_like(gray)
    squared[..., :, :-1] += gray.diff(dim=-1).square_()
    squared[..., :-1, :] += gray.diff(dim=-2).square_()
    edges = gaussian_blur(squared.sqrt_(), torch.full((len(images),), EDGE_SIGMA))
    low, high = edges.aminmax(dim=-1, keepdim=True)
    low, high = low.amin(-2, keepdim=True), high.amax(-2, keepdim=True)
    return edges.sub_(low).div_((high - low).clamp_min(1e-12))


def _translate(planes: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Plane n of (N, H, W) moved down by rows[n] and right by columns[n] px, edges replicated."""
    n, height, width = planes.shape
    y = (torch.arange(height) - rows[:, None]).clamp(0, height - 1)
    x = (torch.arange(width) - columns[:, None]).clamp(0, width - 1)
    index = (y[:, :, None] * width + x[:, None, :]).to(planes.device, non_blocking=True)
    return planes.flatten(1).gather(1, index.flatten(1)).view(n, height, width)
