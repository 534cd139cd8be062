"""Which layers are trained: the last of them, and the batch norms that belong to them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from shamisa_cli.encoders.encoder import Encoder, freeze_untrained, rates_by_layer, train_last
from shamisa_cli.errors import UsageError


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("test_efficientnet", ("conv_stem", "bn1", "blocks.0")),
        ("test_resnet", ("conv1", "bn1", "layer1")),
    ],
)
def test_only_the_last_layers_are_trained(name: str, first: tuple[str, ...]) -> None:
    backbone = Encoder.from_name(name).backbone
    train_last(backbone, 0.4)
    trained = {name for name, p in backbone.named_parameters() if p.requires_grad}
    assert trained
    assert not any(name.startswith(first) for name in trained)
    train_last(backbone, 1.0)
    assert all(p.requires_grad for p in backbone.parameters())


def test_batch_norms_of_layers_that_are_not_trained_keep_their_statistics() -> None:
    backbone = Encoder.from_name("test_efficientnet").backbone.train()
    train_last(backbone, 0.4)
    freeze_untrained(backbone)
    before = {name: b.clone() for name, b in backbone.named_buffers() if "running" in name}
    backbone(torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
    moved = {
        name
        for name, b in backbone.named_buffers()
        if "running" in name and not b.equal(before[name])
    }
    trained = {name for name, p in backbone.named_parameters() if p.requires_grad}
    assert {name.rpartition(".")[0] for name in moved} <= {n.rpartition(".")[0] for n in trained}
    assert moved
    assert len(moved) < len(before)


def test_a_backbone_whose_layers_timm_does_not_tell() -> None:
    plain = nn.Sequential(nn.Conv2d(3, 4, 3))
    train_last(plain, 1.0)
    with pytest.raises(UsageError, match="use trained = 1"):
        train_last(plain, 0.5)
    assert rates_by_layer(plain, 1.0) == {}
    with pytest.raises(UsageError, match="use late_rate = 1"):
        rates_by_layer(plain, 0.5)


@pytest.mark.parametrize("share", [0.4, 1.0])
def test_rates_fall_evenly_over_the_layers_that_are_trained(share: float) -> None:
    backbone = Encoder.from_name("test_resnet").backbone
    train_last(backbone, share)
    rates = rates_by_layer(backbone, 0.01)
    assert set(rates) == {name for name, p in backbone.named_parameters() if p.requires_grad}
    layers = {"conv1": 0, "bn1": 0, "layer1": 1, "layer2": 2, "layer3": 3, "layer4": 4}
    reached = sorted({layers[name.split(".")[0]] for name in rates})
    for name, rate in rates.items():
        at = reached.index(layers[name.split(".")[0]])
        assert rate == pytest.approx(10 ** (-2 * at / (len(reached) - 1))), name
    assert rates_by_layer(backbone, 1.0) == {}


def test_a_single_layer_has_the_whole_rate() -> None:
    backbone = Encoder.from_name("test_resnet").backbone
    train_last(backbone, 0.01)
    assert set(rates_by_layer(backbone, 0.1).values()) == {1.0}
