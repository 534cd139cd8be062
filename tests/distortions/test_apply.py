"""The one door to a distortion: what it refuses, and that its pieces do not show."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from shamisa_cli.distortions import apply
from shamisa_cli.distortions.apply import apply_distortion
from shamisa_cli.errors import UsageError


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize(
    ("name", "severity", "sign", "says"),
    [
        ("whitenoise", 0.5, 1, "white_noise"),
        ("jpeg", -0.1, 1, "severity"),
        ("jpeg", 1.1, 1, "severity"),
        ("jpeg", float("nan"), 1, "severity"),
        ("jpeg", 0.5, -1, "sign"),
    ],
)
def test_refusals(
    name: str, severity: float, sign: int, says: str, crops: Tensor, generator: torch.Generator
) -> None:
    with pytest.raises(UsageError, match=says):
        apply_distortion(crops, name, severity, generator, sign)


@pytest.mark.parametrize("name", ["gaussian_blur", "color_shift", "white_noise", "jitter"])
def test_a_batch_of_any_size_is_distorted_whole(
    name: str, crops: Tensor, generator: torch.Generator
) -> None:
    images = crops[:1].expand(2 * apply.CPU_PIECE + 1, -1, -1, -1)
    done = apply_distortion(images, name, 1.0, generator)
    assert (done - images).abs().amax(dim=(1, 2, 3)).min() > 0.01


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize(
    "name", ["gaussian_blur", "lens_blur", "color_diffusion", "brighten", "high_sharpen", "jpeg"]
)
def test_cuda_agrees_with_the_cpu(name: str, crops: Tensor, generator: torch.Generator) -> None:
    here = apply_distortion(crops, name, 0.7, generator)
    there = apply_distortion(crops.cuda(), name, 0.7, generator)
    torch.testing.assert_close(there.cpu(), here, atol=2e-3, rtol=0)
