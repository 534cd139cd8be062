"""timm backbones by name."""

from __future__ import annotations

import pytest
import timm
import torch
from click.testing import CliRunner

from shamisa_cli.cli import app
from shamisa_cli.encoders.backbones import create_backbone, describe_backbone, feature_size
from shamisa_cli.encoders.encoder import Encoder, Projector, moments
from shamisa_cli.errors import UnknownNameError

FAMILIES = ("test_resnet", "test_vit", "test_convnext", "test_efficientnet", "test_byobnet")


@pytest.mark.parametrize("name", [*FAMILIES, "mobilenetv4_conv_small_035", "mobilenetv3_small_050"])
def test_the_stated_feature_size_is_the_real_one(name: str) -> None:
    backbone = create_backbone(name).eval()
    size = backbone.pretrained_cfg["input_size"][-1]
    features = backbone(torch.rand(2, 3, size, size))
    info = describe_backbone(name)
    assert features.shape == (2, feature_size(backbone)) == (2, info.feature_size)
    assert info.parameters == sum(p.numel() for p in backbone.parameters())


def test_a_vit_takes_pictures_of_any_size_and_at_its_own_is_as_timm_makes_it() -> None:
    backbone = create_backbone("vit_tiny_patch16_224").eval()
    plain = timm.create_model("vit_tiny_patch16_224", num_classes=0).eval()
    plain.load_state_dict(backbone.state_dict())
    own = torch.rand(1, 3, 224, 224)
    with torch.no_grad():
        assert torch.equal(backbone(own), plain(own))
        assert torch.isfinite(backbone(torch.rand(2, 3, 75, 101))).all()
        with pytest.raises(AssertionError):
            plain(torch.rand(2, 3, 75, 101))


@pytest.mark.parametrize("name", ["test_resnet", "test_convnext"])
def test_h_is_of_unit_length_and_normalizes_its_input(name: str) -> None:
    encoder = Encoder.from_name(name).eval()
    x = torch.rand(3, 3, 64, 64)
    mean = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
    std = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    h = encoder(x)
    pooled = encoder.backbone((x - mean) / std)
    torch.testing.assert_close(h, pooled / pooled.norm(dim=1, keepdim=True))
    torch.testing.assert_close(h.norm(dim=1), torch.ones(3))


def _stage_vectors(encoder: Encoder, x: torch.Tensor) -> list[torch.Tensor]:
    """The pooled last stage, then mean and deviation of each earlier one; each of unit length."""
    normalized = (x - encoder.mean) / encoder.std
    vectors = [encoder.backbone(normalized)]
    for stage in encoder.backbone.forward_intermediates(normalized)[1][:-1]:
        flat = stage.flatten(2)
        vectors += [flat.mean(2), flat.std(2, correction=0)]
    return [vector / vector.norm(dim=1, keepdim=True) for vector in vectors]


@pytest.mark.parametrize("name", [*FAMILIES, "mobilenetv4_conv_small_035", "resnet18"])
def test_stages_are_logarithms_of_means_and_deviations_of_their_maps(name: str) -> None:
    torch.manual_seed(0)
    encoder = Encoder.from_name(name, pooling="log_stages").eval()
    size = encoder.backbone.pretrained_cfg["input_size"][-1]
    x = torch.rand(2, 3, size, size)
    h = encoder(x)
    assert h.shape == (2, encoder.feature_size)
    vectors = _stage_vectors(encoder, x)
    parts = h.split([vector.shape[1] for vector in vectors], dim=1)
    for part, vector in zip(parts, vectors, strict=True):
        usual = vector.shape[1] ** -0.5
        ratio = 10 * vector.detach().double() / usual
        size_of_it = (ratio.abs() + (ratio.square() + 1).sqrt()).log()
        expected = (usual * ratio.sign() * size_of_it).float() / len(vectors) ** 0.5
        torch.testing.assert_close(part, expected, rtol=1e-3, atol=1e-5)


def test_moments_are_exact_and_have_gradients_at_dead_channels() -> None:
    """Against the derivatives by hand: 1/n, and (x - mean)/(n·deviation), 0 where that is 0/0."""
    maps = torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    maps[:, 1] = 0.25  # a channel that is the same everywhere
    maps[0, 2] = 0
    maps.requires_grad_()
    mean, deviation = moments(maps)
    centered = maps.detach() - maps.detach().mean((2, 3), keepdim=True)
    assert torch.equal(deviation, centered.square().mean((2, 3)).sqrt())
    assert deviation[0, 2] == deviation[0, 1] == 0
    (of_mean,) = torch.autograd.grad(mean.sum(), maps, retain_graph=True)
    torch.testing.assert_close(of_mean, torch.full_like(maps, 1 / 20))
    (of_deviation,) = torch.autograd.grad(deviation.sum(), maps)
    divisor = 20 * deviation.detach()[..., None, None]
    torch.testing.assert_close(of_deviation, torch.nan_to_num(centered / divisor))


def test_the_projector_is_two_layers_with_relu_between() -> None:
    h = torch.rand(4, 6)
    projector = Projector(6, 10, 5)
    first, _, second = projector.layers
    z = torch.relu(h @ first.weight.T + first.bias) @ second.weight.T + second.bias
    torch.testing.assert_close(projector(h), z)
    assert sum(isinstance(m, torch.nn.BatchNorm1d) for m in projector.modules()) == 0
    normed = Projector(6, 10, 5, batch_norm=True)
    assert sum(isinstance(m, torch.nn.BatchNorm1d) for m in normed.modules()) == 2


def test_an_unknown_backbone_is_refused_with_near_matches() -> None:
    with pytest.raises(UnknownNameError, match=r"Did you mean.*resnet50"):
        create_backbone("resnet5O")


def test_the_command_lists_by_pattern_or_refuses_with_near_matches() -> None:
    assert CliRunner().invoke(app, ["backbones", "resnet50.*"]).exit_code == 2
    result = CliRunner().invoke(app, ["backbones", "mobilenetv4_conv_small"])
    assert result.exit_code == 0
    row = next(r for r in result.output.splitlines() if r.startswith("mobilenetv4_conv_small "))
    assert row.split() == ["mobilenetv4_conv_small", "2.5", "M", "1280"]
    result = CliRunner().invoke(app, ["backbones", "resnett50"])
    assert result.exit_code == 2
    assert "resnet50" in result.output
