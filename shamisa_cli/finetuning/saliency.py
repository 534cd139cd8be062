"""Where people look: saliency maps of a photo, and the most salient window (docs/finetuning.md).

After LML-IQA (arXiv 2406.19247). Its equations are not public to us: these are our readings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, cast

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from shamisa_cli.encoders.encoder import Encoder
from shamisa_cli.encoders.regions import head_maps, network_maps
from shamisa_cli.errors import UsageError
from shamisa_cli.imaging.arrays import to_tensor
from shamisa_cli.imaging.resample import limit_short_side

Saliency = Literal["activation", "attention", "spectral", "center", "random"]
"""Two maps by the network, one without any, and two controls that look at no pixel."""

MAP_SIDE = 224
"""Short side in px at which maps are made: a forward or two of one crop."""

FLAT = 0.01
"""A map whose values differ by less than this share of their mean says nothing."""

STEPS = 8
"""Windows stand about an eighth of their side apart."""

SPECTRAL_WIDTH = 64
"""Width in px at which the spectral residual is taken."""


def mirrored_mean(raw: Callable[[Tensor], Tensor], pixels: Tensor) -> Tensor:
    """The map ``raw`` (h, w) of ``pixels`` (3, H, W), averaged with that of the mirrored photo.

    A mirrored photo so has exactly the mirrored map, which networks alone do not give.
    """
    return (raw(pixels) + raw(pixels.flip(-1)).flip(-1)) / 2


@torch.no_grad()
def activation_map(encoder: Encoder, pixels: Tensor) -> Tensor:
    """(h, w) ≥ 0: the squared positive activations of the last map, summed over its channels.

    Of a network with several ends it is the last map of the first one, which knows what a photo
    shows.

    Parameters
    ----------
    encoder : of a network with maps; in evaluation.
    pixels : (3, H, W), RGB in [0, 1].
    """

    def raw(x: Tensor) -> Tensor:
        maps = network_maps(encoder.backbone, (x[None] - encoder.mean) / encoder.std)
        return activations(maps[head_maps(encoder.backbone, len(maps))[0]])[0]

    return mirrored_mean(raw, pixels)


def activations(last: Tensor) -> Tensor:
    """(n, h, w) ≥ 0: squared positive activations of a map (n, c, h, w), summed over channels."""
    return last.float().clamp_min(0).square().sum(1)


@torch.no_grad()
def attention_map(encoder: Encoder, pixels: Tensor) -> Tensor:
    """(h, w) ≥ 0: what the class token of a ViT's last block attends to, mean over its heads.

    The weights are computed from the block's own queries and keys: timm's fused attention hides
    them. The photo is taken to whole patches before. Parameters as for :func:`activation_map`.

    Raises
    ------
    UsageError
        for a network without a class token.
    """
    check_attention(encoder.backbone)
    net = cast(Any, encoder.backbone)
    attention, patch = net.blocks[-1].attn, net.patch_embed.patch_size[0]
    rows, columns = (max(1, round(side / patch)) for side in pixels.shape[1:])
    whole = F.interpolate(
        pixels[None], (rows * patch, columns * patch), mode="bilinear", antialias=True
    )[0]

    def raw(x: Tensor) -> Tensor:
        seen: list[Tensor] = []
        hook = attention.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
        try:
            net.forward_features((x[None] - encoder.mean) / encoder.std)
        finally:
            hook.remove()
        weights = class_attention(attention, seen[0])[0, :, net.num_prefix_tokens :]
        return weights.mean(0).reshape(rows, columns)

    return mirrored_mean(raw, whole)


def check_attention(backbone: nn.Module) -> None:
    """Refuse a network without a class token, whose attention nothing can be read from."""
    if not getattr(backbone, "num_prefix_tokens", 0) or not hasattr(backbone, "blocks"):
        raise UsageError("saliency attention needs a ViT with a class token; use activation")


def class_attention(attention: nn.Module, tokens: Tensor) -> Tensor:
    """(N, heads, T): softmax weights of token 0 over all ``tokens`` (N, T, D) of a timm ViT."""
    layer = cast(Any, attention)
    n, t, _ = tokens.shape
    qkv = layer.qkv(tokens).reshape(n, t, 3, layer.num_heads, -1).permute(2, 0, 3, 1, 4)
    query, key = layer.q_norm(qkv[0]), layer.k_norm(qkv[1])
    products = (query[:, :, :1] * layer.scale) @ key.transpose(-2, -1)
    return products.softmax(-1)[:, :, 0].float()


def spectral_map(pixels: Tensor) -> Tensor:
    """(h, w) ≥ 0: the spectral residual (Hou & Zhang, CVPR 2007) of ``pixels`` (3, H, W).

    Luminance at 64 px of width; what its log amplitude spectrum has over its own 3×3 mean, taken
    back to the picture, squared, and smoothed (Gaussian, σ 2.5 px).
    """
    width = SPECTRAL_WIDTH
    height = max(2, round(pixels.shape[1] * width / pixels.shape[2]))
    weights = torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64)

    def raw(x: Tensor) -> Tensor:
        light = torch.einsum("c,chw->hw", weights, x.double())[None, None]
        small = F.interpolate(light, (height, width), mode="bilinear", antialias=True)[0, 0]
        spectrum = torch.fft.fft2(small)
        amplitude = spectrum.abs().clamp_min(1e-12).log()
        around = F.pad(amplitude[None, None], (1, 1, 1, 1), mode="circular")
        residual = amplitude - F.avg_pool2d(around, 3, stride=1)[0, 0]
        found = torch.fft.ifft2(torch.polar(residual.exp(), spectrum.angle())).abs().square()
        return _smooth(found, 2.5).float()

    return mirrored_mean(raw, pixels)


def _smooth(values: Tensor, sigma: float) -> Tensor:
    """``values`` (h, w) float64 after a Gaussian of ``sigma`` px, reflected at the border."""
    reach = min(round(3 * sigma), min(values.shape) - 1)
    at = torch.arange(-reach, reach + 1, dtype=torch.float64)
    kernel = torch.exp(-at.square() / (2 * sigma**2))
    kernel /= kernel.sum()
    padded = F.pad(values[None, None], (reach,) * 4, mode="reflect")
    rows = F.conv2d(padded, kernel.reshape(1, 1, -1, 1))
    return F.conv2d(rows, kernel.reshape(1, 1, 1, -1))[0, 0]


def best_window(saliency: Tensor, size: tuple[int, int], side: int) -> tuple[int, int]:
    """(left, top) px of the most salient ``side`` × ``side`` window of a photo.

    Windows stand on an even grid that is symmetric about the center, about ``side``/8 apart. Of
    windows with an equal mean the one nearest to the center wins, then the first by rows. A flat
    map, whose range is under 1 % of its mean, says nothing: the center.

    Parameters
    ----------
    saliency : (h, w) ≥ 0, of the whole photo; it is taken to the photo's size bilinearly.
    size : (width, height) px of the photo, neither below ``side``.
    """
    width, height = size
    if min(size) < side:
        raise ValueError(f"a window of {side} px does not fit into {width}×{height} px")
    columns, rows = grid_steps(width - side, side), grid_steps(height - side, side)
    means = window_means(saliency, size, side, columns, rows)
    places = [(x, y) for y in rows for x in columns]
    return best_of(places, means.flatten(), saliency, size, side)


def best_of(
    places: Sequence[tuple[int, int]],
    means: Tensor,
    saliency: Tensor,
    size: tuple[int, int],
    side: int,
) -> tuple[int, int]:
    """The most salient of the windows at ``places`` by their ``means`` (n,), as in best_window."""
    flat = float(saliency.max() - saliency.min()) < FLAT * float(saliency.mean())
    # Sums of mirrored maps differ in their last digits; equal is equal up to these.
    best = torch.ones_like(means, dtype=torch.bool) if flat else means >= means.max() * (1 - 1e-9)
    among = [places[number] for number in best.nonzero().flatten().tolist()]
    return min(among, key=lambda at: _from_center(at, size, side))


def _from_center(at: tuple[int, int], size: tuple[int, int], side: int) -> int:
    """Squared distance of a window's center from the photo's, in half px."""
    return sum((2 * start + side - length) ** 2 for start, length in zip(at, size, strict=True))


def grid_steps(room: int, side: int) -> list[int]:
    """Whole px 0 … ``room``, about ``side``/8 apart, symmetric: start k and its twin add up."""
    if not room:
        return [0]
    count = -(-room * STEPS // side) + 1
    if room % 2 and count % 2:  # no whole number of px lies in the middle
        count += 1
    first = [round(k * room / (count - 1)) for k in range(count // 2)]
    middle = [room // 2] * (count % 2)
    return sorted({*first, *middle, *(room - start for start in first)})


def window_means(
    saliency: Tensor, size: tuple[int, int], side: int, columns: list[int], rows: list[int]
) -> Tensor:
    """(rows, columns) float64: the mean of ``saliency``, at ``size``, in each window."""
    full = F.interpolate(
        saliency[None, None].double(), size[::-1], mode="bilinear", align_corners=False
    )[0, 0]
    sums = F.pad(full.cumsum(0).cumsum(1), (1, 0, 1, 0))
    left, top = torch.tensor(columns), torch.tensor(rows)

    def corner(down: int, along: int) -> Tensor:
        return sums[(top + down)[:, None], (left + along)[None]]

    return (corner(side, side) - corner(0, side) - corner(side, 0) + corner(0, 0)) / side**2


def overlap(a: tuple[int, int], b: tuple[int, int], side: int) -> float:
    """Intersection over union of two windows of ``side`` px at (left, top) ``a`` and ``b``."""
    shared = 1
    for one, other in zip(a, b, strict=True):
        shared *= max(0, side - abs(one - other))
    return shared / (2 * side**2 - shared)


def random_window(
    size: tuple[int, int], side: int, generator: torch.Generator | None
) -> tuple[int, int]:
    """(left, top) of a window within ``size`` (width, height), all places alike likely."""
    x, y = torch.rand(2, generator=generator).tolist()
    return int(x * (size[0] - side + 1)), int(y * (size[1] - side + 1))


def salient_window(
    kind: Saliency,
    encoder: Encoder,
    photo: Image.Image,
    side: int,
    generator: torch.Generator | None = None,
) -> tuple[int, int]:
    """(left, top) px of the window of ``photo`` that ``kind`` says people look at.

    Parameters
    ----------
    kind : whose map; ``random`` draws the window, and needs the ``generator``.
    encoder : in evaluation; its network makes the maps ``activation`` and ``attention``.
    photo : 8-bit RGB, neither side below ``side``; maps are made of it at :data:`MAP_SIDE`.
    """
    if kind == "random":
        return random_window(photo.size, side, generator)
    if kind == "center":
        return best_window(torch.ones(1, 1), photo.size, side)
    small = to_tensor(limit_short_side(photo, MAP_SIDE))
    if kind == "spectral":
        found = spectral_map(small)
    else:
        found = (activation_map if kind == "activation" else attention_map)(encoder, small)
    return best_window(found, photo.size, side)
