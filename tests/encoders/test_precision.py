"""Devices, and which layers compute in bfloat16."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import nn

from shamisa_cli.encoders.precision import InFloat32, to_mixed_precision


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
    exact = {n for n, module in mixed.named_modules() if isinstance(module, InFloat32)}
    depthwise = {
        n
        for n, module in model.named_modules()
        if isinstance(module, nn.Conv2d) and module.groups == module.in_channels > 1
    }
    depthwise = {n.removesuffix(".layer") for n in depthwise}
    assert exact == early | depthwise
    for n, module in mixed.named_modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            inside = n.removesuffix(".layer") in exact
            assert module.weight.dtype == (torch.float32 if inside else torch.bfloat16)


def test_an_exact_layer_under_autocast() -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(3, 4, 3)
    x = torch.rand(1, 3, 8, 8)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        rounded, exact = layer(x), InFloat32(layer)(x)
        from_rounded = InFloat32(layer)(x.bfloat16())
    with torch.no_grad():
        assert torch.equal(exact, layer(x))
        assert torch.equal(from_rounded, layer(x.bfloat16().float()))
    assert rounded.dtype == torch.bfloat16
