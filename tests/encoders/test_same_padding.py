"""Networks from TensorFlow give the same maps when nothing is padded by a copy."""

from __future__ import annotations

import copy

import pytest
import torch
from timm.layers.conv2d_same import Conv2dSame
from torch import nn

from shamisa_cli.encoders.backbones import create_backbone
from shamisa_cli.encoders.same_padding import PaddedConv2d, without_run_time_padding


@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("groups", [1, 4])
@pytest.mark.parametrize("size", [(8, 8), (9, 9), (8, 9), (9, 8), (5, 16)])
def test_a_convolution_gives_the_same_map(
    kernel: int, stride: int, groups: int, size: tuple[int, int]
) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        same = nn.Sequential(Conv2dSame(4, 8, kernel, stride, groups=groups))
        x = torch.randn(2, 4, *size)
    made = without_run_time_padding(copy.deepcopy(same))
    assert isinstance(made[0], PaddedConv2d)
    torch.testing.assert_close(made(x), same(x))
    torch.testing.assert_close(made[0]._with_padded_map(x), same(x))


@pytest.mark.parametrize("options", [{"kernel_size": 4}, {"stride": 3}, {"dilation": 2}])
def test_others_stay_as_they_are(options: dict[str, int]) -> None:
    same = nn.Sequential(Conv2dSame(4, 8, **{"kernel_size": 3, **options}))
    assert isinstance(without_run_time_padding(copy.deepcopy(same))[0], Conv2dSame)


@pytest.mark.parametrize("size", [(64, 64), (63, 80)])
def test_a_whole_network_gives_the_same_features(size: tuple[int, int]) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = create_backbone("tf_efficientnet_lite0").eval()
        x = torch.rand(1, 3, *size)
    made = without_run_time_padding(copy.deepcopy(network))
    assert not any(isinstance(each, Conv2dSame) for each in made.modules())
    with torch.no_grad():
        torch.testing.assert_close(made(x), network(x))
