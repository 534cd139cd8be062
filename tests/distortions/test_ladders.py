"""Severity ladders: every rung is further from the original, in the measure that fits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from shamisa_cli.distortions.apply import apply_distortion
from shamisa_cli.distortions.pictures import ladder_images
from shamisa_cli.distortions.registry import ENTRIES, Entry

AtLevels = Callable[..., np.ndarray]
BY_CONTRAST = ("linear_contrast_change-",)
"""Lower contrast: its mildest rungs lie on either side of the identity, so PSNR is no measure."""


@pytest.mark.parametrize(
    "entry", [e for e in ENTRIES if e.name not in BY_CONTRAST], ids=lambda e: e.name
)
def test_psnr_falls_with_every_rung(
    entry: Entry, at_levels: AtLevels, originals: np.ndarray
) -> None:
    """Of the mean squared error over photos, and over draws of functions that draw."""
    ladders = [at_levels(entry.distortion.name, entry.sign, seed) for seed in range(2)]
    if not np.array_equal(*ladders):
        ladders += [at_levels(entry.distortion.name, entry.sign, seed) for seed in range(2, 12)]
    error = np.mean([(ladder - originals) ** 2 for ladder in ladders], axis=(0, 2, 3, 4, 5))
    psnr = -10 * np.log10(np.maximum(error, 1e-20))
    assert np.all(np.diff(psnr) < 0), psnr


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", ["linear_contrast_change", "mean_shift"])
def test_damage_rises_along_the_ladders_of_both_signs(
    name: str, seed: int, sample_photos: list[Image.Image]
) -> None:
    """Lower contrast passes through the identity on its way; its ladder starts there."""
    photo = sample_photos[0].resize((160, 107))
    rungs = [np.asarray(rung).astype(float) for rung in ladder_images(photo, name, seed)]
    error = [((rung - np.asarray(photo)) ** 2).mean() for rung in rungs]
    assert np.all(np.diff(error) > 0)


@pytest.mark.parametrize("name", ["linear_contrast_change", "nonlinear_contrast_change"])
def test_contrast_falls_with_every_rung(name: str, at_levels: AtLevels) -> None:
    sign = -1 if name == "linear_contrast_change" else 1
    contrast = at_levels(name, sign).std(axis=(2, 3, 4))
    assert np.all(np.diff(contrast, axis=0) < 0)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda e: e.name)
class TestEveryEntry:
    """What holds for all of them."""

    def test_is_reproducible_in_range_and_leaves_its_input_alone(
        self, entry: Entry, crops: Tensor
    ) -> None:
        before = crops.clone()
        severity = torch.tensor([0.3, 0.9])
        generator = torch.Generator().manual_seed(0)
        done = apply_distortion(crops, entry.distortion.name, severity, generator, entry.sign)
        assert torch.equal(crops, before)
        assert done.shape == crops.shape
        assert done.dtype == torch.float32
        assert 0 <= float(done.min()) <= float(done.max()) <= 1
        assert done.untyped_storage().data_ptr() != crops.untyped_storage().data_ptr()
        again = generator.manual_seed(0)
        name, sign = entry.distortion.name, entry.sign
        assert torch.equal(done, apply_distortion(crops, name, severity, again, sign))

    def test_each_image_has_its_own_severity(self, entry: Entry, crops: Tensor) -> None:
        """As alone, for functions without draws; the first image of a batch draws as if alone."""
        severity = torch.tensor([1.0, 0.0])
        name, sign = entry.distortion.name, entry.sign
        both = apply_distortion(crops, name, severity, torch.Generator().manual_seed(1), sign)
        alone = apply_distortion(crops[:1], name, 1.0, torch.Generator().manual_seed(1), sign)
        drawing = ("non_eccentricity_patch", "color_block", "jitter")
        if name not in drawing:
            torch.testing.assert_close(both[:1], alone, atol=1e-5, rtol=0)
        mild = (both[1] - crops[1]).square().mean()
        strong = apply_distortion(crops, name, 1.0, torch.Generator().manual_seed(1), sign)
        assert float(mild) < float((strong[1] - crops[1]).square().mean())
