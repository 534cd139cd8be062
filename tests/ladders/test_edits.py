"""Edits change what they say, and their features are those of the edited photo."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from shamisa_cli.encoders.config import ViewingProtocol
from shamisa_cli.encoders.encoder import Encoder
from shamisa_cli.evaluation.frozen_encoder import FrozenEncoder
from shamisa_cli.evaluation.mdsi import mdsi
from shamisa_cli.imaging.arrays import to_tensor
from shamisa_cli.ladders.edits import AS_IT_IS, EDITS, HARMLESS, ORDERS
from shamisa_cli.ladders.extract import damage_of, extract_edits, extract_ladders


@pytest.fixture(scope="module")
def small(sample_photos: list[Image.Image]) -> Image.Image:
    return sample_photos[0].resize((96, 64))


@pytest.fixture
def frozen(tmp_path: Path) -> FrozenEncoder:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        encoder = Encoder.from_name("test_resnet").eval()
    protocol = ViewingProtocol(short_side=64, crop=64)
    cache = tmp_path / "cache"
    return FrozenEncoder(
        "tiny", encoder, protocol, device="cpu", precision="fp32", cache=cache, workers=0
    )


@pytest.fixture
def photos(tmp_path: Path, small: Image.Image) -> list[Path]:
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    small.save(paths[0])
    ImageOps.flip(small).save(paths[1])
    return paths


def test_every_edit_changes_the_photo_and_leaves_the_original(small: Image.Image) -> None:
    before = np.asarray(small).copy()
    for name, edit in EDITS.items():
        edited = edit(small, 0)
        assert edited.mode == "RGB"
        same = edited.size == small.size and np.array_equal(np.asarray(edited), before)
        assert not same, name
        assert np.array_equal(np.asarray(edit(small, 0)), np.asarray(edited)), name
    assert np.array_equal(np.asarray(small), before)
    assert {*HARMLESS} | {name for o in ORDERS for name in (o.better, o.worse)} <= {
        AS_IT_IS,
        *EDITS,
    }


def test_grain_has_a_deviation_of_two_levels() -> None:
    gray = Image.new("RGB", (200, 200), (128, 128, 128))
    noise = np.asarray(EDITS["grain"](gray, 1)).astype(float) - 128
    assert noise.std() == pytest.approx(2, abs=0.1)
    assert not np.array_equal(EDITS["grain"](gray, 1), EDITS["grain"](gray, 2))


@pytest.mark.parametrize(("name", "size"), [("half", (48, 32)), ("smaller", (91, 61))])
def test_sizes(small: Image.Image, name: str, size: tuple[int, int]) -> None:
    assert EDITS[name](small, 0).size == size


def test_features_are_those_of_the_edited_photo(frozen: FrozenEncoder, photos: list[Path]) -> None:
    first, again = extract_edits(frozen, photos), extract_edits(frozen, photos)
    assert first.photos == tuple(photos)
    extractor, _ = frozen.tools()
    for i, path in enumerate(photos):
        photo = Image.open(path).convert("RGB")
        for name, edit in {AS_IT_IS: lambda p, s: p, **EDITS}.items():
            if name == "grain":
                continue  # its draws depend on the photo's digest
            expected = extractor.features(edit(photo, 0)).mean(0)
            torch.testing.assert_close(first.features[name][i], expected)
            assert torch.equal(again.features[name][i], first.features[name][i])
    assert torch.equal(first.select({photos[1]}).features["half"][0], first.features["half"][1])


def test_damage_is_the_mean_deviation_of_similarity(
    frozen: FrozenEncoder, photos: list[Path]
) -> None:
    ladders = extract_ladders(frozen, photos, pytest.fail)
    assert ladders.damage.shape == (48, 5)
    for name in ("white_noise", "jpeg", "gaussian_blur"):
        assert ladders.damage[ladders.distortions.index(name)].diff().min() > 0
    assert ladders.damage[ladders.distortions.index("gaussian_blur"), 0] < 0.05


def test_large_photos_are_shrunk_before_they_are_compared(small: Image.Image) -> None:
    large = small.resize((1026, 684))
    blurred = EDITS["blur"](large, 0)

    def averaged(image: Image.Image) -> torch.Tensor:
        pixels = np.asarray(image).astype(float)  # 684 / 256 is about 3
        return torch.tensor(pixels.reshape(228, 3, 342, 3, 3).mean((1, 3)) / 255)

    expected = mdsi(*(averaged(each).permute(2, 0, 1)[None].float() for each in (large, blurred)))
    torch.testing.assert_close(damage_of(large, [blurred, small])[:1], expected)
    assert damage_of(large, [small]).isnan().all()
    alike = mdsi(to_tensor(small)[None], to_tensor(small)[None])
    assert torch.equal(damage_of(small, [small]), alike)
