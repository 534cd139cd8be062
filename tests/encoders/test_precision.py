"""Devices, and which layers compute in bfloat16."""

from __future__ import annotations

import copy

import pytest
import timm
import torch
from torch import nn

from shamisa_cli.encoders import precision as precision_module
from shamisa_cli.encoders.precision import (
    depthwise_convolutions,
    stay_in_float32,
    to_mixed_precision,
    training_autocast,
)


@pytest.mark.parametrize(
    ("name", "early"),
    [
        ("resnet18", {"conv1"}),  # a pooling layer follows
        ("mobilenetv4_conv_small_035", {"conv_stem", "blocks.0.0.conv"}),
        ("convnext_atto", {"stem.0"}),
        ("vit_tiny_patch16_224", {"patch_embed.proj"}),
    ],
)
def test_only_what_sees_the_picture_large_stays_exact(name: str, early: set[str]) -> None:
    model = timm.create_model(name, num_classes=0).eval()
    mixed = to_mixed_precision(model, torch.zeros(1, 3, 224, 224))
    exact = {n for n, module in mixed.named_modules() if hasattr(module, "stays_in_float32")}
    depthwise = {
        n
        for n, module in model.named_modules()
        if isinstance(module, nn.Conv2d) and module.groups == module.in_channels > 1
    }
    assert exact == early | depthwise
    for n, module in mixed.named_modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            assert module.weight.dtype == (torch.float32 if n in exact else torch.bfloat16)


def test_an_exact_layer_under_autocast() -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(3, 4, 3)
    stays = copy.deepcopy(layer)
    stay_in_float32(stays)
    x = torch.rand(1, 3, 8, 8)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        rounded, exact = layer(x), stays(x)
        from_rounded = stays(x.bfloat16())
    with torch.no_grad():
        assert torch.equal(exact, layer(x))
        assert torch.equal(from_rounded, layer(x.bfloat16().float()))
    assert rounded.dtype == torch.bfloat16


def test_a_layer_stays_in_float32_where_it_is() -> None:
    torch.manual_seed(0)
    layer = nn.Sequential(nn.Conv2d(4, 4, 3, groups=4))
    x = torch.rand(1, 4, 8, 8)
    expected, names = layer(x), set(layer.state_dict())
    stay_in_float32(layer[0])
    stay_in_float32(layer[0])  # once more changes nothing
    other = copy.deepcopy(layer)
    with torch.no_grad():
        other[0].weight *= 2
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found, of_other = layer(x), other(x)
    assert torch.equal(found, expected)
    assert not torch.equal(of_other, expected)  # a copy has its own weights
    assert set(layer.state_dict()) == names
    assert isinstance(layer[0], nn.Conv2d)


def test_training_leaves_depthwise_gradients_in_float32() -> None:
    """As close to the gradients of float32 as rounding elsewhere allows; and names stay."""
    torch.manual_seed(0)
    exact = timm.create_model("test_efficientnet", num_classes=0).eval()
    mixed, rounded = copy.deepcopy(exact), copy.deepcopy(exact)
    dtype = training_autocast("bf16", mixed, torch.device("cpu"))
    assert dtype == torch.bfloat16
    x, seen = torch.rand(2, 3, 64, 64), []
    layers = [mixed.get_submodule(name) for name in depthwise_convolutions(mixed)]
    assert layers
    for layer in layers:
        layer.register_forward_hook(lambda _, inputs, output: seen.append(output.dtype))
    for model, cast in ((exact, None), (mixed, dtype), (rounded, dtype)):
        with torch.autocast("cpu", cast, enabled=cast is not None):
            made = model(x)
        made.float().square().mean().backward()
    assert seen == [torch.float32] * len(layers)
    assert list(mixed.state_dict()) == list(exact.state_dict())
    pairs = zip(exact.parameters(), mixed.parameters(), strict=True)
    errors = [float((a.grad - b.grad).norm() / a.grad.norm()) for a, b in pairs]
    assert sorted(errors)[len(errors) // 2] < 0.05


@pytest.mark.parametrize("fast", [False, True])
def test_training_is_in_bfloat16_where_it_has_instructions(
    fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision_module, "has_fast_bf16", lambda _: fast)
    cpu, bf16 = torch.device("cpu"), torch.bfloat16
    asked = ("auto", "fp32", "bf16")
    found = [training_autocast(each, nn.Linear(2, 2), cpu) for each in asked]
    assert found == [bf16 if fast else None, None, bf16]
