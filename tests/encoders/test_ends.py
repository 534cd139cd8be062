"""Several ends of one network against so many whole networks."""

from __future__ import annotations

import copy

import pytest
import timm
import torch
from torch import nn

from shamisa_cli.encoders.encoder import Encoder
from shamisa_cli.encoders.ends import add_end, further_ends
from shamisa_cli.encoders.fold import fold_batch_norm
from shamisa_cli.encoders.regions import (
    Regions,
    head_maps,
    map_channels,
    map_of_features,
    network_maps,
    region_size,
)
from shamisa_cli.encoders.same_padding import without_run_time_padding
from shamisa_cli.errors import UsageError

BLOCK = 5
WEIGHTS = (0.3, 0.3, 0.3, 0.3, 0.3, 0.6, 1.0, 0.3, 0.5)


@pytest.fixture(scope="module")
def nets() -> tuple[nn.Module, nn.Module]:
    """Two networks that share what comes before the block, with statistics that do something."""
    torch.manual_seed(0)
    one = timm.create_model("tf_efficientnet_lite0", num_classes=0).eval()
    for module in one.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    two = copy.deepcopy(one)
    with torch.no_grad():
        for name, value in two.named_parameters():
            if name.startswith((f"blocks.{BLOCK}", f"blocks.{BLOCK + 1}", "conv_head", "bn2")):
                value += 0.3 * value.std().nan_to_num() * torch.randn(value.shape)
    return one, two


@pytest.fixture
def both(nets: tuple[nn.Module, nn.Module]) -> nn.Module:
    """The first network, with the end of the second."""
    net = copy.deepcopy(nets[0])
    add_end(net, BLOCK, nets[1])
    return net


def test_maps_are_those_of_the_one_and_then_the_last_of_the_other(
    nets: tuple[nn.Module, nn.Module], both: nn.Module
) -> None:
    assert map_channels(both) == [32, 16, 24, 40, 80, 112, 192, 320, 1280, 192, 320, 1280]
    x = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        found, one, two = (network_maps(net, x) for net in (both, *nets))
    for got, wanted in zip(found, [*one, *two[BLOCK + 1 :]], strict=True):
        assert torch.equal(got, wanted)
    assert head_maps(both, len(found)) == (8, 11)
    assert head_maps(nets[0], len(one)) == (8,)


@pytest.mark.parametrize("weights", [(), WEIGHTS])
def test_features_are_those_of_the_one_and_the_late_ones_of_the_other(
    nets: tuple[nn.Module, nn.Module], both: nn.Module, weights: tuple[float, ...]
) -> None:
    together = (*weights, *weights[BLOCK + 1 :])
    encoder = Encoder(both, pooling="regions", regions=Regions(together)).eval()
    one, two = (Encoder(net, pooling="regions", regions=Regions(weights)).eval() for net in nets)
    x = torch.rand(2, 3, 64, 96)
    with torch.no_grad():
        found, first, other = encoder(x), one(x), two(x)
    channels = map_channels(both)
    of = map_of_features(channels, head_maps(both, len(channels)))
    assert found.shape[1] == encoder.feature_size == region_size(channels, (8, 11)) == len(of)
    late = map_of_features(channels[:9]) > BLOCK
    torch.testing.assert_close(found[:, of < 9], first)
    torch.testing.assert_close(found[:, of >= 9], other[:, late])
    assert not torch.allclose(first[:, late], other[:, late], atol=1e-3)


def test_each_feature_is_known_by_its_map_and_statistics_are_one_more(both: nn.Module) -> None:
    plain = Encoder(both, pooling="regions")
    encoder = Encoder(both, pooling="regions", statistics="scene")
    maps = encoder.maps_of_features()
    assert len(maps) == encoder.feature_size
    assert torch.equal(maps[: plain.feature_size], plain.maps_of_features())
    assert set(maps[plain.feature_size :].tolist()) == {12}
    assert set(plain.maps_of_features().tolist()) == set(range(12))


def test_what_makes_scoring_fast_changes_nothing(both: nn.Module) -> None:
    encoder = Encoder(both, pooling="regions", statistics="scene").eval()
    x = torch.rand(1, 3, 97, 64)
    with torch.no_grad():
        wanted, _ = encoder.forward_cells(x)
        torch.testing.assert_close(encoder(x), wanted)
        folded = without_run_time_padding(fold_batch_norm(encoder, x))
        torch.testing.assert_close(folded(x), wanted, rtol=0, atol=1e-4)
    left = [m for m in folded.modules() if isinstance(m, nn.BatchNorm2d)]
    assert not left  # of the other end, too


def test_weights_are_among_those_of_the_network(both: nn.Module) -> None:
    again = Encoder.from_name("tf_efficientnet_lite0", pooling="regions", ends=[BLOCK])
    again.backbone.load_state_dict(both.state_dict())
    encoder = Encoder(both, pooling="regions")
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(again.eval()(x), encoder.eval()(x))


def test_a_third_end_follows_the_second(nets: tuple[nn.Module, nn.Module], both: nn.Module) -> None:
    """It may start later; the maps of what was there stay what and where they were."""
    other = copy.deepcopy(nets[1])
    with torch.no_grad():
        for value in other.blocks[BLOCK + 1].parameters():
            value *= 1.1
    x = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        before = network_maps(both, x)
        add_end(both, BLOCK + 1, other)
        found = network_maps(both, x)
        wanted = other.blocks[BLOCK + 1](before[BLOCK + 1])  # of what the first end has there
    assert len(found) == len(before) + 2
    for got, expected in zip(found, before, strict=False):
        assert torch.equal(got, expected)
    assert torch.equal(found[-2], wanted)
    assert head_maps(both, len(found)) == (8, 11, 13)
    again = Encoder.from_name("tf_efficientnet_lite0", pooling="regions", ends=[5, 6])
    again.backbone.load_state_dict(both.state_dict())
    encoder = Encoder(both, pooling="regions")
    with torch.no_grad():
        assert torch.equal(again.eval()(x), encoder.eval()(x))
    assert set(encoder.maps_of_features().tolist()) == set(range(14))


def test_there_are_four_ends_at_most(both: nn.Module) -> None:
    for block in (3, 6):
        add_end(both, block)
    assert [end.block for end in further_ends(both)] == [BLOCK, 3, 6]
    with pytest.raises(UsageError, match="there may be 3 further ones, no more"):
        add_end(both, 4)


def test_what_has_no_further_end_is_told(nets: tuple[nn.Module, nn.Module]) -> None:
    assert further_ends(nets[0]) == []
    for block in (0, 7, -1):
        with pytest.raises(UsageError, match="must start at a block from 1 to 6"):
            add_end(copy.deepcopy(nets[0]), block)
    with pytest.raises(UsageError, match="ResNet cannot have several; EfficientNets can"):
        Encoder.from_name("resnet18", pooling="regions", ends=[2])
