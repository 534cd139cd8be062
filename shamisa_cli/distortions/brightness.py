"""Brightness: brighten, darken, mean shift (KADID-10k)."""

from __future__ import annotations

import torch
from torch import Tensor

from shamisa_cli.distortions.colorspace import lab_to_rgb, rgb_to_lab
from shamisa_cli.distortions.draws import per_image


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
