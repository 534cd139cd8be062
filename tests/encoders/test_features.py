"""Features: what they are made of, and that nothing but the photo decides them."""

from __future__ import annotations

import pytest
import torch
from PIL import Image
from torchvision.transforms.functional import pil_to_tensor

from shamisa_cli.encoders.config import ViewingProtocol
from shamisa_cli.encoders.encoder import Encoder
from shamisa_cli.encoders.features import FeatureExtractor
from shamisa_cli.errors import PhotoError, UsageError
from shamisa_cli.imaging.resample import limit_short_side, rescale
from shamisa_cli.models.store import load_encoder


@pytest.fixture(scope="module")
def encoder(tiny_model: object) -> Encoder:
    return load_encoder(tiny_model)[0]  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def extractor(encoder: Encoder) -> FeatureExtractor:
    return FeatureExtractor(encoder, ViewingProtocol(), "cpu", "fp32")


def plain_features(
    encoder: Encoder, image: Image.Image, short_side: int | None = 512
) -> torch.Tensor:
    """The protocol read aloud: one crop at a time, float32, nothing folded (sides ≥ 448 px)."""
    image = limit_short_side(image, short_side)
    rows = []
    for x, y in ((0.5, 0.5), (0, 0), (1, 0), (0, 1), (1, 1)):
        scales = []
        for view in (image, rescale(image, 0.5)):
            left, top = round(x * (view.width - 224)), round(y * (view.height - 224))
            crop = pil_to_tensor(view.crop((left, top, left + 224, top + 224))).float() / 255
            with torch.no_grad():
                scales.append(encoder(crop[None])[0])
        rows.append(torch.cat(scales))
    return torch.stack(rows)


@pytest.fixture(scope="module")
def large(sample_photos: list[Image.Image]) -> list[Image.Image]:
    """Four photos that need no padding."""
    a, b = (photo.resize((900, 600)) for photo in sample_photos)
    return [a, b, a.transpose(Image.Transpose.ROTATE_90), b.resize((500, 460))]


def test_features_are_those_of_the_protocol(
    encoder: Encoder, extractor: FeatureExtractor, large: list[Image.Image]
) -> None:
    assert extractor.size == 2 * encoder.feature_size
    for photo in large:
        before = photo.copy()
        features = extractor.features(photo)
        assert photo == before
        assert features.shape == (5, extractor.size)
        assert features.dtype == torch.float32
        torch.testing.assert_close(features, plain_features(encoder, photo), rtol=0, atol=1e-4)
        torch.testing.assert_close(features.reshape(5, 2, -1).norm(dim=2), torch.ones(5, 2))


@pytest.mark.parametrize(("precision", "photos_per_pass"), [("fp32", 1), ("fp32", 3), ("bf16", 3)])
def test_company_and_order_leave_no_trace(
    encoder: Encoder, large: list[Image.Image], precision: str, photos_per_pass: int
) -> None:
    """Bit for bit; three a pass is how accelerators work, with the last pass filled up."""
    extractor = FeatureExtractor(encoder, ViewingProtocol(), "cpu", precision)
    extractor.photos_per_pass = photos_per_pass
    alone = [extractor.features(photo) for photo in large]
    together = list(extractor.features_many(large))
    backwards = list(extractor.features_many(reversed(large)))[::-1]
    for a, b, c in zip(alone, together, backwards, strict=True):
        assert torch.equal(a, b)
        assert torch.equal(a, c)


def test_whole_photos_of_different_sizes(encoder: Encoder, large: list[Image.Image]) -> None:
    extractor = FeatureExtractor(encoder, ViewingProtocol(crops="whole"), "cpu", "fp32")
    for features in extractor.features_many(large):
        assert features.shape == (1, extractor.size)
    photo = large[3]
    views = [pil_to_tensor(view).float()[None] / 255 for view in (photo, rescale(photo, 0.5))]
    with torch.no_grad():
        expected = torch.cat([encoder(view) for view in views], dim=1)
    torch.testing.assert_close(extractor.features(photo), expected, rtol=0, atol=1e-4)


def test_tiles_of_one_crop_are_the_crop(encoder: Encoder, sample_photos: list[Image.Image]) -> None:
    photo = sample_photos[0].resize((448, 448))
    native = ViewingProtocol(short_side=None, crops="tiles")
    tiles = FeatureExtractor(encoder, native, "cpu", "fp32").features(photo)
    five = FeatureExtractor(encoder, ViewingProtocol(), "cpu", "fp32").features(photo)
    assert tiles.shape == (4, five.shape[1])
    torch.testing.assert_close(tiles, five[1:], rtol=0, atol=1e-6)  # 2 × 2 tiles are the corners


def test_tiles_are_cut_only_when_they_are_used(encoder: Encoder) -> None:
    extractor = FeatureExtractor(
        encoder, ViewingProtocol(short_side=None, crops="tiles"), "cpu", "fp32"
    )
    batches = iter(extractor.cut(Image.new("RGB", (2240, 2240))))
    first = next(batches)
    assert [len(crops) for crops in first] == [5, 5]
    assert sum(1 for _ in batches) == 19


def test_the_encoder_is_not_changed(encoder: Encoder, large: list[Image.Image]) -> None:
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    FeatureExtractor(encoder, ViewingProtocol(), "cpu", "bf16").features(large[0])
    after = encoder.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_bf16_is_near_fp32(sample_photos: list[Image.Image]) -> None:
    """A backbone without normalization by random statistics, which would blow rounding up."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = Encoder.from_name("convnext_atto")
    exact, rounded = (
        FeatureExtractor(encoder, ViewingProtocol(), "cpu", precision).features(sample_photos[0])
        for precision in ("fp32", "bf16")
    )
    assert float((exact - rounded).norm(dim=1).max()) < 0.02
    assert not torch.equal(exact, rounded)


def test_what_cannot_be_seen_whole(encoder: Encoder) -> None:
    whole = ViewingProtocol(short_side=None, crops="whole")
    with pytest.raises(PhotoError, match="crops five"):
        FeatureExtractor(encoder, whole, "cpu", "fp32").cut(Image.new("RGB", (5000, 4000)))
    fixed = Encoder.from_name("gmlp_ti16_224")
    with pytest.raises(UsageError, match="crops five"):
        FeatureExtractor(fixed, whole, "cpu", "fp32")
    assert FeatureExtractor(fixed, ViewingProtocol(), "cpu", "fp32").size == 2 * 128


@pytest.mark.parametrize(("device", "precision"), [("cpu", "fp16"), ("tpu", "fp32")])
def test_unknown_precision_and_device(encoder: Encoder, device: str, precision: str) -> None:
    with pytest.raises(UsageError, match=r"fp16|tpu"):
        FeatureExtractor(encoder, ViewingProtocol(), device, precision)
