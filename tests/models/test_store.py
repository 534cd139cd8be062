"""Model folders: what is written is what is read, and what is wrong is named."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from shamisa_cli.encoders.config import ViewingProtocol
from shamisa_cli.encoders.encoder import Encoder
from shamisa_cli.errors import WeightsError
from shamisa_cli.models.config import FORMAT, ModelConfig
from shamisa_cli.models.store import load_encoder, save_encoder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    encoder = Encoder.from_name("test_resnet")
    config = ModelConfig(
        "tiny", "test_resnet", encoder.feature_size, protocol=ViewingProtocol(short_side=None)
    )
    save_encoder(tmp_path / "tiny", encoder, config)
    return tmp_path / "tiny"


def test_round_trip_within_half_precision(tmp_path: Path) -> None:
    encoder = Encoder.from_name("test_resnet").eval()
    config = ModelConfig("tiny", "test_resnet", encoder.feature_size, training={"steps": 3})
    save_encoder(tmp_path, encoder, config)
    loaded, read = load_encoder(tmp_path)
    assert read == config
    assert not loaded.training
    x = torch.rand(2, 3, 64, 64)
    torch.testing.assert_close(loaded(x), encoder(x), atol=5e-3, rtol=0)
    assert all(p.dtype == torch.float32 for p in loaded.parameters())
    stored = load_file(tmp_path / "model.safetensors").values()
    assert {t.dtype for t in stored if t.is_floating_point()} == {torch.float16}


def test_loading_leaves_the_global_generator_alone(folder: Path) -> None:
    before = torch.get_rng_state()
    load_encoder(folder)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_full_disk_leaves_the_older_model(
    folder: Path, no_file_over: Callable[[int], AbstractContextManager[None]]
) -> None:
    old = {path: path.read_bytes() for path in folder.iterdir()}
    encoder, config = load_encoder(folder)
    changed = dataclasses.replace(config, training={"note": "x" * 3_000_000})
    for size, name in ((1000, "model.safetensors"), (2_500_000, "config.json")):
        refused = rf"tiny/{name}: cannot be written.*Make room"
        with no_file_over(size), pytest.raises(WeightsError, match=refused):
            save_encoder(folder, encoder, changed)
        assert {path: path.read_bytes() for path in folder.iterdir()} == old


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": FORMAT + 1}, "newer than this shamisa"),
        ({"protocol": {"crop": 0}}, r"config\.json: protocol: crop must be at least 1"),
        ({"protocol": {"short_side": -1}}, "short_side"),
        ({"protocol": {"scales": []}}, "scales"),
        ({"protocol": {"scales": [1, float("inf")]}}, "scales"),
        ({"preprocessing": {"std": [1, 1, 0]}}, "std above 0"),
        ({"preprocessing": {"mean": [1, 1, float("nan")]}}, "must be finite"),
        ({"bakcbone": "x"}, "Did you mean backbone"),
        ({"feature_size": "many"}, "expected int"),
        ({"feature_size": 7}, "says 7 features"),
        ({"backbone": "test_vit"}, "does not fit backbone test_vit"),
        ({"backbone": "test_rsnet"}, "Did you mean.*test_resnet"),
    ],
)
def test_a_wrong_config_is_named(folder: Path, change: dict, message: str) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(Exception, match=message) as error:
        load_encoder(folder)
    assert type(error.value).__module__ == "shamisa_cli.errors"


def test_damaged_and_pickled_weights_are_refused(folder: Path) -> None:
    path = folder / "model.safetensors"
    whole = path.read_bytes()
    for damaged in (b"", whole[:200], b"\0" * 64):
        path.write_bytes(damaged)
        with pytest.raises(WeightsError, match=r"model\.safetensors: cannot be read"):
            load_encoder(folder)
    torch.save({"weight": torch.zeros(1)}, path)
    with pytest.raises(WeightsError, match="cannot be read as safetensors"):
        load_encoder(folder)


def test_a_tensor_of_the_wrong_shape_is_refused(folder: Path) -> None:
    path = folder / "model.safetensors"
    tensors = load_file(path)
    key = next(key for key, value in tensors.items() if value.ndim == 4)
    save_file({**tensors, key: torch.zeros(1)}, path)
    with pytest.raises(WeightsError, match=f"does not fit.*{key}"):
        load_encoder(folder)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("backbone", "test_resnt", "Did you mean"),
        ("ends", [2], "ResNet cannot have several"),
        ("regions", {"maps": [1.0]}, "1 weights for"),
    ],
)
def test_an_encoder_that_cannot_be_is_told_with_its_file(
    folder: Path, key: str, value: object, message: str
) -> None:
    path = folder / "config.json"
    facts = json.loads(path.read_text()) | {"pooling": "regions", key: value}
    path.write_text(json.dumps(facts))
    with pytest.raises(WeightsError, match=message) as refused:
        load_encoder(folder)
    assert str(path) in str(refused.value)
