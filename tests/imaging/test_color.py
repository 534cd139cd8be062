"""Every kind of pixels becomes 8-bit sRGB: modes, depths, transparency, color profiles."""

from __future__ import annotations

import numpy as np
import pytest
from icc_profiles import gray_profile, inverted_cmyk_profile, rgb_profile
from PIL import Image

from shamisa_cli.imaging.color import scale_to_8_bit, to_srgb


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(to_srgb(image)).astype(int)


@pytest.fixture
def photo(sample_photos: list[Image.Image]) -> Image.Image:
    return sample_photos[1].resize((96, 64))


@pytest.fixture
def ramp() -> np.ndarray:
    """(16, 256) with every 8-bit value in every row."""
    return np.tile(np.arange(256, dtype=np.uint8), (16, 1))


MODES = "1 L P LA La PA RGBA RGBa RGBX CMYK YCbCr LAB I F I;16 I;16L I;16B"


@pytest.mark.parametrize("mode", MODES.split())
def test_every_mode_becomes_rgb(photo: Image.Image, mode: str) -> None:
    through = {"I;16": "I", "I;16L": "I", "I;16B": "I", "La": "LA", "RGBa": "RGBA", "PA": "P"}
    image = photo.convert(through.get(mode, mode)) if mode != "LAB" else Image.new("LAB", (8, 8))
    result = to_srgb(image.convert(mode) if image.mode != mode else image)
    assert result.mode == "RGB"
    assert result.size == image.size


def test_gray_is_gray(ramp: np.ndarray) -> None:
    assert np.array_equal(pixels(Image.fromarray(ramp)), np.repeat(ramp[..., None], 3, axis=2))


def test_a_palette_means_its_colors_and_transparent_ones_are_white() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putdata([0, 1])
    assert pixels(image).tolist() == [[[10, 20, 30], [200, 100, 50]]]
    image.info["transparency"] = 1
    assert pixels(image).tolist() == [[[10, 20, 30], [255, 255, 255]]]


@pytest.mark.parametrize(("mode", "color"), [("L", 7), ("RGB", (1, 2, 3))])
def test_a_transparent_color_is_white(mode: str, color: object) -> None:
    image = Image.new(mode, (1, 1), color)  # type: ignore[arg-type]
    image.info["transparency"] = color
    assert (pixels(image) == 255).all()


def test_alpha_is_laid_over_white() -> None:
    image = Image.fromarray(np.array([[[200, 100, 0, a] for a in (0, 51, 128, 255)]], np.uint8))
    alpha = np.array([0, 51, 128, 255])[:, None] / 255
    expected = alpha * np.array([200, 100, 0]) + (1 - alpha) * 255
    assert np.abs(pixels(image)[0] - expected).max() <= 1


def test_cmyk_without_profile() -> None:
    image = Image.new("CMYK", (1, 1), (0, 255, 255, 0))
    assert pixels(image).tolist() == [[[255, 0, 0]]]


@pytest.mark.parametrize(
    ("full", "dtype"),
    [(65535, "<u2"), (65535, ">u2"), (65535, "int32"), (2**32 - 1, "uint32")]
    + [(full, "float32") for full in (1.0, 255.0, 65535.0)],
)
def test_depths_are_scaled_by_their_range_not_clipped(
    ramp: np.ndarray, full: float, dtype: str
) -> None:
    values = (ramp * (full / 255)).astype(dtype)
    image = Image.fromarray(values.view(np.int32) if dtype == "uint32" else values)
    assert np.array_equal(np.asarray(scale_to_8_bit(image)), ramp)


def test_floats_that_are_no_numbers_do_no_harm() -> None:
    values = np.array([[0.0, 0.5, 1.0, -3.0, np.nan, np.inf, -np.inf]], np.float32)
    assert np.asarray(scale_to_8_bit(Image.fromarray(values))).tolist() == [
        [0, 128, 255, 0, 0, 255, 0]
    ]


def test_a_large_image_is_scaled_in_strips_without_seams() -> None:
    values = np.random.default_rng(0).integers(0, 65536, (2500, 3), dtype=np.uint16)
    expected = np.rint(values / 257)
    assert np.array_equal(np.asarray(scale_to_8_bit(Image.fromarray(values))), expected)


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_profile_is_followed(photo: Image.Image, mode: str) -> None:
    image = photo.convert(mode)
    image.info["icc_profile"] = rgb_profile(order=(2, 1, 0))  # its red is blue
    assert np.abs(pixels(image) - np.asarray(photo).astype(int)[..., ::-1]).max() <= 2


def test_a_profile_with_another_curve_is_followed(ramp: np.ndarray) -> None:
    image = Image.fromarray(ramp).convert("RGB")
    image.info["icc_profile"] = rgb_profile(gamma=1.0)
    linear = ramp[0] / 255
    expected = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    assert np.abs(pixels(image)[0, :, 0] - 255 * expected).max() <= 2


def test_a_gray_profile_is_followed(ramp: np.ndarray) -> None:
    image = Image.fromarray(ramp)
    image.info["icc_profile"] = gray_profile(gamma=1.0)
    assert abs(int(pixels(image)[0, 128, 0]) - 188) <= 2  # half the light


def test_a_cmyk_profile_is_followed() -> None:
    image = Image.new("CMYK", (1, 1), (0, 0, 0, 0))
    image.info["icc_profile"] = inverted_cmyk_profile()
    assert pixels(image).max() <= 2  # by this profile, no ink is black


@pytest.mark.parametrize(
    "profile", [b"", b"rubbish", rgb_profile()[:200], gray_profile(2.2), rgb_profile()]
)
def test_a_profile_that_is_damaged_or_for_other_pixels_or_srgb_changes_nothing(
    photo: Image.Image, profile: bytes
) -> None:
    photo.info["icc_profile"] = profile
    assert np.array_equal(pixels(photo), np.asarray(photo))
