"""An encoder in two halves gives what the whole one gives."""

from __future__ import annotations

import pytest
import torch

from shamisa_cli.encoders.encoder import Encoder
from shamisa_cli.encoders.halves import can_be_cut, cut_at, early_half, late_half
from shamisa_cli.encoders.regions import Regions
from shamisa_cli.encoders.second import add_second


def _encoder(**changes: object) -> Encoder:
    torch.manual_seed(0)
    plain = {"pooling": "regions", "statistics": "scene"}
    return Encoder.from_name("test_efficientnet", **{**plain, **changes}).eval()  # type: ignore


@pytest.mark.parametrize("block", [0, 2, 5])
@pytest.mark.parametrize("weighted", [False, True])
def test_both_halves_are_the_whole(block: int, weighted: bool) -> None:
    """At the first block, at one inside and after the last; weights reach the right maps."""
    regions = Regions((0.1, 0.2, 0.3, 0.5, 0.7, 1.1, 1.3) if weighted else (), 0.15, 0.2)
    encoder = _encoder(regions=regions)
    x = torch.rand(2, 3, 72, 96, generator=torch.Generator().manual_seed(1))
    joint = cut_at(encoder, block)
    with torch.no_grad():
        early = early_half(encoder, x, joint)
        torch.testing.assert_close(late_half(encoder, early), encoder(x))
        assert not early.features[:, joint.late].any()


def test_gradients_reach_the_second_half_alone() -> None:
    encoder, x = _encoder(), torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        early = early_half(encoder, x, cut_at(encoder, 3))
    late_half(encoder, early).square().sum().backward()
    reached = {n for n, p in encoder.backbone.named_parameters() if p.grad is not None}
    assert reached
    assert all(n.startswith(("blocks.3", "blocks.4", "conv_head", "bn2")) for n in reached)


def _joined(second: int, **changes: object) -> Encoder:
    """With a second end of other weights, from block ``second`` on."""
    net = _encoder().backbone
    add_second(net, second)
    with torch.no_grad():
        for value in net.get_submodule("second").parameters():
            value += 0.1 * torch.randn(value.shape)
    return Encoder(net, pooling="regions", statistics="scene", **changes).eval()  # type: ignore


@pytest.mark.parametrize(("block", "second"), [(0, 2), (2, 2), (2, 4), (4, 2), (5, 3)])
def test_both_halves_of_two_ends_are_the_whole(block: int, second: int) -> None:
    """Cut before the second end, where it starts, and no later."""
    weights = (0.1, 0.2, 0.3, 0.5, 0.7, 1.1, 1.3)
    encoder = _joined(second, regions=Regions((*weights, *weights[second + 1 :]), 0.15, 0.2))
    x = torch.rand(2, 3, 72, 96, generator=torch.Generator().manual_seed(1))
    joint = cut_at(encoder, block)
    assert joint.block == min(block, second)
    with torch.no_grad():
        early = early_half(encoder, x, joint)
        torch.testing.assert_close(late_half(encoder, early), encoder(x))
        assert not early.features[:, joint.late].any()


def test_gradients_reach_both_ends() -> None:
    encoder, x = _joined(3), torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        early = early_half(encoder, x, cut_at(encoder, 3))
    late_half(encoder, early).square().sum().backward()
    reached = {n for n, p in encoder.backbone.named_parameters() if p.grad is not None}
    assert {n.partition(".")[0] for n in reached} == {"blocks", "conv_head", "bn2", "second"}
    assert all(not n.startswith(("conv_stem", "bn1", "blocks.2")) for n in reached)


def test_which_encoders_can_be_cut() -> None:
    assert can_be_cut(_encoder())
    assert can_be_cut(_joined(3))
    assert not can_be_cut(_encoder(pooling="last"))
    assert not can_be_cut(Encoder.from_name("test_resnet", pooling="regions"))
