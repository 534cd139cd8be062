"""Brightness, and sharpness and contrast: the two categories of tone (KADID-10k)."""

from __future__ import annotations

import torch
from torch import Tensor

from shamisa_cli.distortions.colorspace import lab_to_rgb, rgb_to_lab
from shamisa_cli.distortions.convolution import gaussian_blur
from shamisa_cli.distortions.draws import per_image

SHARPEN_SIGMA = 6.0
SHARPEN_RADIUS = 6


def brighten(images: Tensor, native: Tensor, generator: torch.Generator) -> Tensor:
    """The tone curve of :func:`tone_curve` with a = ``native``: ⅔ on RGB and ⅓ on CIELab's L*."""
    amount = per_image(native, images)
    lab = rgb_to_lab(images)
    lab[:, :1] = tone_curve(lab[:, :1] / 100, amount) * 100
    return tone_curve(images, amount).mul_(2 / 3).add_(lab_to_rgb(lab), alpha=1 / 3)


def darken(images: Tensor, native: Tensor, generator: torch.Generator) -> Tensor:
    """The tone curve of :func:`tone_curve` on RGB, bent the other way by a = ``native``."""
    return tone_curve(images, -per_image(native, images))


def mean_shift(images: Tensor, native: Tensor, generator: torch.Generator) -> Tensor:
    """Add the constant ``native``, which may be negative."""
    return images + per_image(native, images)


def tone_curve(values: Tensor, amount: Tensor) -> Tensor:
    """The quadratic through (0, 0), (½, ½ + a/2), (1, 1), clamped to [0, 1]: x + 2a·x·(1 − x)."""
    return (1 - values).mul_(2 * amount).add_(1).mul_(values).clamp_(0, 1)


def high_sharpen(images: Tensor, native: Tensor, generator: torch.Generator) -> Tensor:
    """Unsharp mask on CIELab's L*: L + a·(L − blurred L), a = ``native``; window 13×13, σ = 6."""
    lab = rgb_to_lab(images)
    lightness = lab[:, :1]
    sigma = torch.full((len(images),), SHARPEN_SIGMA)
    detail = lightness - gaussian_blur(lightness, sigma, SHARPEN_RADIUS)
    lab[:, :1] = detail.mul_(per_image(native, images)).add_(lightness).clamp_(0, 100)
    return lab_to_rgb(lab)


def linear_contrast_change(images: Tensor, native: Tensor, generator: torch.Generator) -> Tensor:
    """The polynomial through (0, 0), (0.3, ¼ − a/4), (½, ½), (0.7, ¾ + a/4), (1, 1).

    The points lie symmetrically about (½, ½), so with a = ``native`` and t = x − ½ it is the odd
    cubic ½ + p·t + q·t³; clamped to [0, 1] it falls nowhere. At a = 0 it already raises the
    contrast a little, as the published points have it.
    """
    amount = per_image(native, images)
    cubic = -(0.05 + 0.25 * amount) / 0.042
    slope = 1 - 0.25 * cubic
    offset = images - 0.5
    return (offset * offset).mul_(cubic).add_(slope).mul_(offset).add_(0.5)


def nonlinear_contrast_change(images: Tensor, native: Tensor, generator: torch.Generator) -> Tensor:
    """Compress the range [0, 1] to ½ ± ``native``."""
    return (images - 0.5).mul_(2 * per_image(native, images)).add_(0.5)
