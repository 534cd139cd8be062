"""Features of many photos: in order, once, and picked up again after an interruption."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from PIL import Image

from shamisa_cli.encoders.config import ViewingProtocol
from shamisa_cli.encoders.encoder import Encoder
from shamisa_cli.encoders.features import FeatureExtractor
from shamisa_cli.errors import PhotoError
from shamisa_cli.evaluation import feature_cache as cache_module
from shamisa_cli.evaluation.feature_cache import FeatureCache, features_key
from shamisa_cli.evaluation.features import extract_features, extract_means
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


def _stored(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "cache").rglob("*.safetensors"))


@pytest.mark.parametrize("workers", [0, 3])
def test_each_photo_in_its_place(
    extractor: FeatureExtractor, paths: list[Path], workers: int
) -> None:
    finished: list[int] = []
    features = extract_features(paths, extractor, workers=workers, progress=finished.append)
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
    first = extract_features(paths, extractor, cache=cache)
    assert len(_stored(tmp_path)) == 5
    monkeypatch.setattr(extractor, "cut", None)
    moved = [path.rename(path.with_name(f"moved-{path.name}")) for path in paths]
    again = extract_features(moved[::-1], extractor, cache=cache)
    assert torch.equal(again.flip(0), first)


def test_an_interrupted_run_goes_on(
    extractor: FeatureExtractor, paths: list[Path], cache: FeatureCache, tmp_path: Path
) -> None:
    done: list[int] = []

    def stop(count: int) -> None:
        done.append(count)
        if len(done) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract_features(paths, extractor, cache=cache, workers=0, progress=stop)
    assert len(_stored(tmp_path)) == 3
    features = extract_features(paths, extractor, cache=cache)
    assert torch.equal(features, extract_features(paths, extractor))


def test_all_that_cannot_be_read_are_named_once_the_others_are_done(
    extractor: FeatureExtractor, paths: list[Path], cache: FeatureCache, tmp_path: Path
) -> None:
    for path in (paths[0], paths[2]):
        path.write_bytes(b"no picture")
    with pytest.raises(PhotoError, match=r"0\.png: .*\n.*2\.png: "):
        extract_features(paths, extractor, cache=cache)
    assert len(_stored(tmp_path)) == 3


@pytest.mark.parametrize("cached", [False, True])
def test_means_leave_out_what_cannot_be_read(
    extractor: FeatureExtractor, paths: list[Path], cache: FeatureCache, cached: bool
) -> None:
    expected = extract_features([paths[0], paths[2], paths[4]], extractor).mean(1)
    paths[1].write_bytes(b"no picture")
    paths[3].unlink()
    errors: list[PhotoError] = []
    kept, means = extract_means(
        paths, extractor, cache=cache if cached else None, unreadable=errors.append
    )
    assert kept == [0, 2, 4]
    torch.testing.assert_close(means, expected)
    assert [str(error).count(".png") for error in errors] == [1, 1]
    assert str(errors[1]) == f"{paths[3]}: no such file"
    nothing, empty = extract_means(paths[3:4], extractor, unreadable=errors.append)
    assert (nothing, empty.shape) == ([], (0, extractor.size))


def test_a_damaged_cache_file_is_made_anew(
    extractor: FeatureExtractor, paths: list[Path], cache: FeatureCache, tmp_path: Path
) -> None:
    first = extract_features(paths, extractor, cache=cache)
    damaged = _stored(tmp_path)[2]
    damaged.write_bytes(damaged.read_bytes()[:40])
    assert torch.equal(extract_features(paths, extractor, cache=cache), first)
    assert damaged.stat().st_size > 40


def test_changed_content_is_not_taken_for_the_old_one(
    extractor: FeatureExtractor, paths: list[Path], cache: FeatureCache
) -> None:
    first = extract_features(paths, extractor, cache=cache)
    Image.new("RGB", (90, 70), (200, 10, 10)).save(paths[0])
    second = extract_features(paths, extractor, cache=cache)
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
