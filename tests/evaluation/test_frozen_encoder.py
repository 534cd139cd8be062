"""Features of many photos: in order, once, and picked up again after an interruption."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
import torch
from PIL import Image

from shamisa_cli.datasets.registry import open_dataset
from shamisa_cli.encoders.config import ViewingProtocol
from shamisa_cli.encoders.encoder import Encoder
from shamisa_cli.encoders.features import FeatureExtractor
from shamisa_cli.errors import PhotoError, ShamisaError
from shamisa_cli.evaluation import feature_cache as cache_module
from shamisa_cli.evaluation.feature_cache import FeatureCache, features_key
from shamisa_cli.evaluation.frozen_encoder import FrozenEncoder, extract_features
from shamisa_cli.imaging.decode import decode

PROTOCOL = ViewingProtocol(short_side=64, crop=64)


def _encoder(seed: int = 3) -> Encoder:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Encoder.from_name("test_resnet").eval()


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return _encoder()


@pytest.fixture
def extractor(encoder: Encoder) -> FeatureExtractor:
    return FeatureExtractor(encoder, PROTOCOL, "cpu", "fp32")


@pytest.fixture
def paths(tmp_path: Path, sample_photos: list[Image.Image]) -> list[Path]:
    made = []
    for i in range(5):
        path = tmp_path / f"{i}.png"
        sample_photos[i % 2].resize((90 + i, 70)).save(path)
        made.append(path)
    return made


@pytest.fixture
def cache(tmp_path: Path, encoder: Encoder, extractor: FeatureExtractor) -> FeatureCache:
    return FeatureCache(tmp_path / "cache", features_key(encoder, extractor))


def _fail(error: PhotoError) -> None:
    raise error


def extract(paths: list[Path], extractor: FeatureExtractor, **options: Any) -> torch.Tensor:
    """All features (n, K, F)."""
    kept, features = extract_features(paths, extractor, _fail, **options)
    assert kept == list(range(len(paths)))
    return features


def _stored(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "cache").rglob("*.safetensors"))


@pytest.mark.parametrize("workers", [0, 3])
def test_each_photo_in_its_place(
    extractor: FeatureExtractor, paths: list[Path], workers: int
) -> None:
    finished: list[int] = []
    features = extract(paths, extractor, workers=workers, progress=finished.append)
    assert features.shape == (5, 5, extractor.size)
    for path, row in zip(paths, features, strict=True):
        assert torch.equal(row, extractor.features(decode(path)))
    assert sum(finished) == 5


def test_the_second_time_nothing_is_extracted(
    extractor: FeatureExtractor,
    paths: list[Path],
    cache: FeatureCache,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = extract(paths, extractor, cache=cache)
    assert len(_stored(tmp_path)) == 5
    monkeypatch.setattr(extractor, "cut", None)
    moved = [path.rename(path.with_name(f"moved-{path.name}")) for path in paths]
    again = extract(moved[::-1], extractor, cache=cache)
    assert torch.equal(again.flip(0), first)


def test_an_interrupted_run_goes_on(
    extractor: FeatureExtractor, paths: list[Path], cache: FeatureCache, tmp_path: Path
) -> None:
    stop = MagicMock(side_effect=[None, None, KeyboardInterrupt])
    with pytest.raises(KeyboardInterrupt):
        extract(paths, extractor, cache=cache, workers=0, progress=stop)
    assert len(_stored(tmp_path)) == 3
    features = extract(paths, extractor, cache=cache)
    assert torch.equal(features, extract(paths, extractor))


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("mean", [False, True])
def test_what_cannot_be_read_is_left_out(
    extractor: FeatureExtractor, paths: list[Path], cache: FeatureCache, cached: bool, mean: bool
) -> None:
    options = {"cache": cache if cached else None, "mean": mean}
    expected = extract([paths[0], paths[2], paths[4]], extractor)
    extract(paths[3:], extractor, **options)  # of the cache come some later ones first
    paths[1].write_bytes(b"no picture")
    paths[3].unlink()
    errors: list[PhotoError] = []
    kept, features = extract_features(paths, extractor, errors.append, **options)
    assert kept == [0, 2, 4]
    torch.testing.assert_close(features, expected.mean(1) if mean else expected)
    assert [str(error).count(".png") for error in errors] == [1, 1]
    assert str(errors[1]) == f"{paths[3]}: no such file"
    nothing, empty = extract_features(paths[3:4], extractor, errors.append, **options)
    assert (nothing, empty.shape) == ([], (0, extractor.size))


def test_an_image_whose_reference_cannot_be_read_is_left_out(
    encoder: Encoder, paths: list[Path], tmp_path: Path, extractor: FeatureExtractor
) -> None:
    frozen = FrozenEncoder("tiny", encoder, PROTOCOL, device="cpu", precision="fp32")
    lines = [f"{i}.png,{i},{r}.png" for i, r in ((1, 0), (2, 4), (3, 0), (0, 0))]
    (tmp_path / "mine.csv").write_text("\n".join(["image,mos,reference", *lines]) + "\n")
    dataset = open_dataset(str(tmp_path / "mine.csv"), None)
    h = extract(paths, extractor)
    paths[4].write_bytes(b"no picture")
    paths[1].write_bytes(b"no picture")
    errors: list[PhotoError] = []
    found = frozen.dataset(dataset, errors.append, full_reference=True)
    assert (found.kept, found.left_out) == ([2, 3], 2)
    assert found.dataset.images == (paths[3], paths[0])
    assert found.dataset.scores.tolist() == [3, 0]
    torch.testing.assert_close(found.features, torch.stack([(h[0] - h[3]).abs(), 0 * h[0]]))
    assert ["1.png" in str(errors[0]), "4.png" in str(errors[1])] == [True, True]
    paths[0].unlink()
    with pytest.raises(PhotoError, match="none of its images"):
        frozen.dataset(dataset, errors.append, full_reference=True)


def test_a_damaged_cache_file_and_a_changed_photo_are_made_anew(
    extractor: FeatureExtractor, paths: list[Path], cache: FeatureCache, tmp_path: Path
) -> None:
    first = extract(paths, extractor, cache=cache)
    damaged = _stored(tmp_path)[2]
    damaged.write_bytes(damaged.read_bytes()[:40])
    assert torch.equal(extract(paths, extractor, cache=cache), first)
    assert damaged.stat().st_size > 40
    Image.new("RGB", (90, 70), (200, 10, 10)).save(paths[0])
    second = extract(paths, extractor, cache=cache)
    assert not torch.equal(second[0], first[0])
    assert torch.equal(second[1:], first[1:])


def test_the_key_holds_all_that_features_depend_on(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def key(encoder: Encoder, protocol: ViewingProtocol, precision: str = "fp32") -> str:
        return features_key(encoder, FeatureExtractor(encoder, protocol, "cpu", precision))

    gray = Encoder(
        encoder.backbone, dataclasses.replace(encoder.preprocessing, mean=(0.5, 0.5, 0.5))
    )
    keys = [
        key(encoder, PROTOCOL),
        key(_encoder(4), PROTOCOL),
        key(gray.eval(), PROTOCOL),
        key(encoder, dataclasses.replace(PROTOCOL, scales=(1.0, 0.25))),
        key(encoder, PROTOCOL, "bf16"),
        key(Encoder(encoder.backbone, encoder.preprocessing, "log_stages").eval(), PROTOCOL),
    ]
    assert len(set(keys)) == 6
    assert key(_encoder(3), PROTOCOL) == keys[0]
    monkeypatch.setattr(cache_module, "FEATURES_VERSION", cache_module.FEATURES_VERSION + 1)
    assert key(encoder, PROTOCOL) not in keys


def test_a_folder_that_takes_no_features_is_named(
    paths: list[Path], cache: FeatureCache, tmp_path: Path
) -> None:
    with pytest.raises(ShamisaError, match=rf"{paths[0]}/.*cannot be written \(.*another folder"):
        FeatureCache(paths[0], "key")
    cache.folder.rmdir()
    cache.folder.write_text("in the way")
    with pytest.raises(ShamisaError, match=r"cannot be written \(.*\); make room, or choose"):
        cache.put("0" * 64, torch.zeros(2))
