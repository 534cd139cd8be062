"""An encoder in two halves gives what the whole one gives."""

from __future__ import annotations

import pytest
import torch

from shamisa_cli.encoders.encoder import Encoder
from shamisa_cli.encoders.ends import add_end, further_ends
from shamisa_cli.encoders.halves import can_be_cut, cut_at, early_half, late_half
from shamisa_cli.encoders.regions import Regions


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


def _joined(*ends: int, **changes: object) -> Encoder:
    """With further ends of other weights, from these blocks on."""
    net = _encoder().backbone
    for block in ends:
        add_end(net, block)
    with torch.no_grad():
        for end in further_ends(net):
            for value in end.parameters():
                value += 0.1 * torch.randn(value.shape)
    return Encoder(net, pooling="regions", statistics="scene", **changes).eval()  # type: ignore


@pytest.mark.parametrize(
    ("block", "ends"), [(0, [2]), (2, [2]), (2, [4]), (4, [2]), (5, [3]), (5, [3, 2]), (2, [4, 3])]
)
def test_both_halves_of_several_ends_are_the_whole(block: int, ends: list[int]) -> None:
    """Cut before the earliest further end, where it starts, and no later."""
    weights = (0.1, 0.2, 0.3, 0.5, 0.7, 1.1, 1.3)
    late = [weight for end in ends for weight in weights[end + 1 :]]
    encoder = _joined(*ends, regions=Regions((*weights, *late), 0.15, 0.2))
    x = torch.rand(2, 3, 72, 96, generator=torch.Generator().manual_seed(1))
    joint = cut_at(encoder, block)
    assert joint.block == min(block, *ends)
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
