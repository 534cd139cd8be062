"""Folding normalization into convolutions changes the layers, not the outputs."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import Tensor, nn

from shamisa_cli.encoders.fold import fold_batch_norm


def lived_in(model: nn.Module) -> nn.Module:
    """``model`` with normalizations as after training: none of their parts is neutral."""
    generator = torch.Generator().manual_seed(3)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
            for parameter, low, high in ((module.weight, 0.5, 1.5), (module.bias, -0.5, 0.5)):
                nn.init.uniform_(parameter, low, high, generator=generator)
    with torch.no_grad():
        model.train()(torch.rand(4, 3, 96, 96, generator=generator))
    return model.eval()


def norms(model: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("resnet18", 0),
        ("mobilenetv4_conv_small_035", 0),
        ("mobilenetv3_small_050", 0),
        ("densenet121", 62),  # normalizes what it has concatenated
        ("vit_tiny_patch16_224", 0),
    ],
)
def test_same_outputs_with_fewer_layers(name: str, left: int) -> None:
    torch.manual_seed(0)
    options = {"img_size": 96} if name.startswith("vit") else {}
    model = lived_in(timm.create_model(name, num_classes=0, **options))
    before = norms(model)
    x = torch.rand(2, 3, 96, 96, generator=torch.Generator().manual_seed(1))
    folded = fold_batch_norm(model, torch.zeros(1, 3, 96, 96))
    with torch.no_grad():
        expected, got = model(x), folded(x)
    assert norms(model) == before
    assert norms(folded) == left
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


class UsedTwice(nn.Module):
    """The convolution's output is also used as it is, so it may not be folded."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return y + self.norm(y)


class Shared(nn.Module):
    """One convolution serves two normalizations."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.first, self.second = nn.BatchNorm2d(3), nn.BatchNorm2d(3)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.conv(self.first(self.conv(x))))


@pytest.mark.parametrize("kind", [UsedTwice, Shared])
def test_what_cannot_be_folded_stays(kind: type[nn.Module]) -> None:
    torch.manual_seed(0)
    model = lived_in(kind())
    x = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    folded = fold_batch_norm(model, x)
    assert norms(folded) == norms(model)
    with torch.no_grad():
        assert torch.equal(folded(x), model(x))
