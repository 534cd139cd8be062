"""Saliency maps and windows, against slow sums and planted texture."""

from __future__ import annotations

import numpy as np
import pytest
import timm
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from sklearn.datasets import load_sample_images
from torch import Tensor
from torch.nn import functional as F

from shamisa_cli.encoders.encoder import Encoder
from shamisa_cli.errors import UsageError
from shamisa_cli.finetuning.saliency import (
    Saliency,
    activation_map,
    attention_map,
    best_window,
    class_attention,
    grid_steps,
    overlap,
    salient_window,
    spectral_map,
)

KINDS: tuple[Saliency, ...] = ("activation", "spectral")


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Encoder.from_name("test_efficientnet").eval()


@pytest.fixture(scope="module", params=[0, 1])
def photo(request: pytest.FixtureRequest) -> Image.Image:
    return Image.fromarray(load_sample_images().images[request.param])


@given(room=st.integers(0, 900), side=st.integers(8, 300))
def test_grid_is_dense_and_symmetric(room: int, side: int) -> None:
    steps = grid_steps(room, side)
    assert steps[0] == 0
    assert steps[-1] == room
    assert [room - start for start in reversed(steps)] == steps
    gaps = np.diff(steps)
    assert (gaps <= side / 8 + 1).all()


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 99),
    size=st.tuples(st.integers(32, 90), st.integers(32, 90)),
    side=st.integers(16, 32),
)
def test_best_window_has_the_largest_sum(seed: int, size: tuple[int, int], side: int) -> None:
    saliency = torch.rand(7, 5, generator=torch.Generator().manual_seed(seed))
    full = F.interpolate(saliency[None, None].double(), size[::-1], mode="bilinear")[0, 0]
    sums = {
        (left, top): float(full[top : top + side, left : left + side].sum())
        for left in grid_steps(size[0] - side, side)
        for top in grid_steps(size[1] - side, side)
    }
    found = best_window(saliency, size, side)
    assert sums[found] == pytest.approx(max(sums.values()), rel=1e-9)


@given(value=st.floats(0.1, 9), size=st.tuples(st.integers(40, 200), st.integers(40, 200)))
def test_a_flat_map_says_the_center(value: float, size: tuple[int, int]) -> None:
    left, top = best_window(torch.full((3, 4), value), size, 32)
    for start, length in ((left, size[0]), (top, size[1])):
        nearest = min(grid_steps(length - 32, 32), key=lambda at: abs(2 * at + 32 - length))
        assert abs(2 * start + 32 - length) == abs(2 * nearest + 32 - length)


def test_of_windows_as_good_and_as_near_the_upper_then_the_left_one_wins() -> None:
    saliency = torch.zeros(16, 16)
    for row, column in ((2, 13), (13, 2), (2, 2), (13, 13)):
        saliency[row, column] = 1.0
    left, top = best_window(saliency, (64, 64), 8)
    assert left < 32 > top
    saliency[2, 2] = 0
    left, top = best_window(saliency, (64, 64), 8)
    assert top < 32 < left


def test_almost_flat_is_flat() -> None:
    saliency = torch.ones(4, 4)
    saliency[0, 0] = 1.005
    assert best_window(saliency, (96, 96), 32) == (32, 32)
    saliency[0, 0] = 1.5
    assert best_window(saliency, (96, 96), 32) == (0, 0)


def test_a_window_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        best_window(torch.ones(2, 2), (31, 60), 32)


@pytest.mark.parametrize("kind", KINDS)
def test_a_mirrored_photo_has_the_mirrored_window(
    kind: Saliency, encoder: Encoder, photo: Image.Image
) -> None:
    left, top = salient_window(kind, encoder, photo, 160)
    mirrored = salient_window(kind, encoder, ImageOps.mirror(photo), 160)
    assert mirrored == (photo.width - 160 - left, top)


def test_maps_of_mirrored_pixels_are_mirrored_bit_for_bit(encoder: Encoder) -> None:
    pixels = torch.rand(3, 64, 96, generator=torch.Generator().manual_seed(2))
    for found, mirrored in (
        (activation_map(encoder, pixels), activation_map(encoder, pixels.flip(-1))),
        (spectral_map(pixels), spectral_map(pixels.flip(-1))),
    ):
        assert torch.equal(found.flip(-1), mirrored)
        assert float(found.min()) >= 0


@pytest.mark.parametrize("kind", KINDS)
def test_planted_texture_is_found(kind: Saliency, encoder: Encoder) -> None:
    pixels = np.full((224, 336, 3), 128, np.uint8)
    coarse = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    pixels[120:200, 30:110] = coarse.repeat(10, 0).repeat(10, 1)
    left, top = salient_window(kind, encoder, Image.fromarray(pixels), 80)
    assert overlap((left, top), (30, 120), 80) > 0.4


def test_center_and_random_look_at_no_pixel(encoder: Encoder) -> None:
    photo = Image.new("RGB", (300, 200))
    assert salient_window("center", encoder, photo, 100) == (100, 50)
    generator = torch.Generator().manual_seed(0)
    drawn = {salient_window("random", encoder, photo, 100, generator) for _ in range(40)}
    assert len(drawn) > 30
    assert all(0 <= left <= 200 and 0 <= top <= 100 for left, top in drawn)


def test_spectral_residual_against_numpy() -> None:
    """Of a picture 64 px wide, so that nothing is resized."""
    pixels = torch.rand(3, 40, 64, generator=torch.Generator().manual_seed(3))

    def slow(x: np.ndarray) -> np.ndarray:
        light = 0.299 * x[0] + 0.587 * x[1] + 0.114 * x[2]
        spectrum = np.fft.fft2(light)
        amplitude = np.log(np.abs(spectrum))
        mean = sum(np.roll(amplitude, (i, j), (0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1)) / 9
        back = np.fft.ifft2(np.exp(amplitude - mean) * spectrum / np.abs(spectrum))
        found, reach = np.abs(back) ** 2, 8
        kernel = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * 2.5**2))
        kernel /= kernel.sum()
        padded = np.pad(found, reach, mode="reflect")
        rows = np.apply_along_axis(lambda v: np.convolve(v, kernel, "valid"), 0, padded)
        return np.apply_along_axis(lambda v: np.convolve(v, kernel, "valid"), 1, rows)

    values = pixels.double().numpy()
    expected = (slow(values) + slow(values[:, :, ::-1])[:, ::-1]) / 2
    np.testing.assert_allclose(spectral_map(pixels).numpy(), expected, rtol=1e-4)


def test_class_attention_is_what_the_block_uses() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        vit = timm.create_model("test_vit", num_classes=0).eval()
    layer = vit.blocks[-1].attn
    tokens = torch.rand(2, 17, vit.embed_dim, generator=torch.Generator().manual_seed(1))
    weights = class_attention(layer, tokens)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, layer.num_heads))
    values = layer.qkv(tokens).reshape(2, 17, 3, layer.num_heads, -1)[:, :, 2]
    mixed = torch.einsum("nht,nthd->nhd", weights, values).flatten(1)
    torch.testing.assert_close(layer.proj(layer.norm(mixed)), layer(tokens)[:, 0])


def test_attention_needs_a_class_token(encoder: Encoder) -> None:
    pixels: Tensor = torch.rand(3, 160, 160, generator=torch.Generator().manual_seed(1))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        vit = Encoder.from_name("test_vit").eval()
    found = attention_map(vit, pixels)
    assert found.shape == (10, 10)
    assert torch.equal(attention_map(vit, pixels.flip(-1)).flip(-1), found)
    odd = pixels[:, :75, :101]  # no whole number of patches
    assert attention_map(vit, odd).shape == (5, 6)
    torch.testing.assert_close(
        attention_map(vit, odd.flip(-1)).flip(-1), attention_map(vit, odd), atol=1e-6, rtol=1e-5
    )
    with pytest.raises(UsageError, match="ViT"):
        attention_map(encoder, pixels)


@pytest.mark.parametrize(("shift", "expected"), [((112, 0), 1 / 3), ((56, 56), 0.391304)])
def test_overlap(shift: tuple[int, int], expected: float) -> None:
    assert overlap((10, 20), (10 + shift[0], 20 + shift[1]), 224) == pytest.approx(expected)
    assert overlap((0, 0), (224, 0), 224) == 0
