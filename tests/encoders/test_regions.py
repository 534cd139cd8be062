"""Region pooling against loops over channels and places."""

from __future__ import annotations

import numpy as np
import pytest
import timm
import torch
from torch import Tensor

from shamisa_cli.encoders.config import ViewingProtocol
from shamisa_cli.encoders.encoder import Encoder
from shamisa_cli.encoders.features import FeatureExtractor
from shamisa_cli.encoders.regions import (
    Regions,
    map_channels,
    moments_by_matrices,
    network_maps,
    region_features,
    region_size,
)
from shamisa_cli.encoders.scene_statistics import SCENE_STATISTICS
from shamisa_cli.errors import UsageError


def _maps() -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = [(2, 3, 8, 12), (2, 5, 4, 4)]
    return [torch.randn(shape, generator=generator) for shape in shapes]


def _on_log_scale(v: np.ndarray) -> np.ndarray:
    root = len(v) ** 0.5
    return np.arcsinh(10 * root * v / np.linalg.norm(v)) / root


def _slow(maps: list[np.ndarray], weights: list[float], liveliest: float) -> np.ndarray:
    whole, by_place, largest = [], [], []
    for k, (channels, weight) in enumerate(zip(maps, weights, strict=True)):
        height, width = channels.shape[1] // 4, channels.shape[2] // 4
        places = [
            channels[:, height * y : height * (y + 1), width * x : width * (x + 1)]
            for y in range(4)
            for x in range(4)
        ]
        last = k == len(maps) - 1
        for moment in (np.mean,) if last else (np.mean, np.std):
            of_place = [np.array([moment(c) for c in place]) for place in places]
            of_all = np.array([moment(c) for c in channels])
            whole += list(weight**0.5 * _on_log_scale(of_all))
            each = [_on_log_scale(v) if v.any() else v for v in of_place]
            by_place += list(weight**0.5 * np.mean(each, axis=0))
            if moment is np.std:
                largest += list(liveliest**0.5 * _on_log_scale(np.max(of_place, axis=0)))
    return np.array(whole + by_place + largest)


@pytest.mark.parametrize("weights", [(), (0.1, 2.0)])
def test_features_are_their_rule(weights: tuple[float, ...]) -> None:
    maps = _maps()
    found = region_features(maps, Regions(weights, liveliest=0.3))
    assert found.shape == (2, region_size([3, 5]))
    for n in range(2):
        slow = _slow([m[n].double().numpy() for m in maps], list(weights or (1.0, 1.0)), 0.3)
        np.testing.assert_allclose(found[n].numpy(), slow, atol=2e-5)


@pytest.mark.parametrize("grid", [1, 3, 4])
@pytest.mark.parametrize("size", [(8, 12), (5, 7), (2, 3), (1, 9), (33, 16)])
def test_places_are_those_of_adaptive_pooling(size: tuple[int, int], grid: int) -> None:
    """Also with a mean far from 0, where squares lose digits."""
    maps = 50 + torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    pool = torch.nn.functional.adaptive_avg_pool2d
    mean, deviation = moments_by_matrices(maps, grid)
    torch.testing.assert_close(mean, pool(maps, grid).flatten(2))
    exact = maps.double()
    variance = pool(exact.square(), grid) - pool(exact, grid).square()
    expected = variance.clamp_min(0).sqrt().flatten(2).float()
    torch.testing.assert_close(deviation, expected, rtol=0, atol=1e-3)


def test_faint_texture_on_large_values_is_not_lost() -> None:
    """As in a black photo, where differences of mean squares were rounding and no texture."""
    faint = [100 + 0.002 * (1 + k) * m for k, m in enumerate(_maps())]
    exact = [m.double().numpy() for m in faint]
    found = region_features(faint, Regions())
    for n in range(2):
        slow = _slow([m[n] for m in exact], [1.0, 1.0], 0.05)
        np.testing.assert_allclose(found[n].numpy(), slow, atol=2e-3)


def test_a_dead_channel_leaves_gradients_finite() -> None:
    maps = [m.clone() for m in _maps()]
    maps[0][:, 1] = 0.5
    for m in maps:
        m.requires_grad_()
    region_features(maps, Regions()).sum().backward()
    assert all(bool(m.grad.isfinite().all()) for m in maps)
    assert maps[0].grad[:, 0].abs().max() > 0


def test_maps_of_an_efficientnet_are_its_blocks_and_end_in_its_features() -> None:
    torch.manual_seed(0)
    net = timm.create_model("tf_efficientnet_lite0", num_classes=0).eval()
    assert map_channels(net) == [32, 16, 24, 40, 80, 112, 192, 320, 1280]
    assert not net.training
    x = torch.rand(1, 3, 96, 64)
    with torch.no_grad():
        maps = network_maps(net, x)
        torch.testing.assert_close(maps[-1].mean((2, 3)), net(x))


def test_maps_of_others_are_their_stages() -> None:
    net = timm.create_model("resnet18", num_classes=0)
    assert map_channels(net) == [64, 64, 128, 256, 512]
    assert net.training
    assert map_channels(timm.create_model("vit_tiny_patch16_224", num_classes=0)) == [192] * 12


def test_what_cannot_be_read_is_refused_before_any_training() -> None:
    for wrong in (-0.1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="finite and at least 0"):
            Regions((1.0, wrong))
    with pytest.raises(UsageError, match="1 weights for 5 maps"):
        Encoder.from_name("resnet18", pooling="regions", regions=Regions((1.0,)))
    with pytest.raises(UsageError, match="Conv2d gives no maps for pooling = regions"):
        map_channels(torch.nn.Conv2d(3, 4, 3))


def test_a_network_is_read_on_its_own_device() -> None:
    net = timm.create_model("resnet18", num_classes=0).to("meta")
    assert map_channels(net) == [64, 64, 128, 256, 512]


def test_a_photo_seen_whole_has_one_row_and_weighted_statistics(sample_photos) -> None:
    torch.manual_seed(0)
    encoders = [
        Encoder.from_name("mobilenetv4_conv_small_035", None, "regions", "scene", regions).eval()
        for regions in (Regions(statistics=1.0), Regions(statistics=0.04))
    ]
    encoders[1].backbone.load_state_dict(encoders[0].backbone.state_dict())
    protocol = ViewingProtocol(short_side=128, crop=64, crops="whole", scales=(1.0,))
    rows = [
        FeatureExtractor(e, protocol, "cpu", "fp32").features(sample_photos[0]) for e in encoders
    ]
    assert rows[0].shape == (1, encoders[0].feature_size)
    statistics = [row[0, -SCENE_STATISTICS:] for row in rows]
    torch.testing.assert_close(statistics[1], 0.2 * statistics[0])
    assert torch.equal(rows[0][0, :-SCENE_STATISTICS], rows[1][0, :-SCENE_STATISTICS])
