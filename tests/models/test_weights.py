"""Tensors on disk: sharded or not they come back, and what changed on the way is noticed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from shamisa_cli.errors import WeightsError
from shamisa_cli.models.weights import (
    read_weights,
    weight_files,
    weights_digest,
    write_weights,
)


@pytest.fixture
def tensors() -> dict[str, torch.Tensor]:
    g = torch.Generator().manual_seed(0)
    made = {f"layer{i}.weight": torch.randn(64, 16, generator=g).half() for i in range(6)}
    return {**made, "steps": torch.tensor(7), "none": torch.zeros(0)}


@pytest.mark.parametrize(("shard_size", "shards"), [("5GB", 1), ("5KB", 3)])
def test_what_is_written_is_read(
    tmp_path: Path, tensors: dict[str, torch.Tensor], shard_size: str, shards: int
) -> None:
    write_weights(tmp_path, tensors, shard_size)
    read = read_weights(tmp_path)
    assert len(weight_files(tmp_path)) == shards
    assert read.keys() == tensors.keys()
    assert all(torch.equal(read[key], tensors[key]) for key in tensors)
    assert all(read[key].dtype == tensors[key].dtype for key in tensors)


@pytest.mark.parametrize("shard_size", ["5GB", "5KB"])
def test_others_may_read_the_weights_as_any_other_file(
    tmp_path: Path, tensors: dict[str, torch.Tensor], shard_size: str
) -> None:
    write_weights(tmp_path, tensors, shard_size)
    other = tmp_path / "other"
    other.write_bytes(b"")
    for path in weight_files(tmp_path):
        assert path.stat().st_mode == other.stat().st_mode


def test_weights_in_another_number_of_shards_replace_the_old_ones(
    tmp_path: Path, tensors: dict[str, torch.Tensor]
) -> None:
    write_weights(tmp_path, {key: value + 1 for key, value in tensors.items()}, "5KB")
    write_weights(tmp_path, tensors)
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]
    write_weights(tmp_path, tensors, "5KB")
    assert not (tmp_path / "model.safetensors").exists()
    assert torch.equal(read_weights(tmp_path)["layer0.weight"], tensors["layer0.weight"])


def test_the_digest_sees_names_types_shapes_and_values(tensors: dict[str, torch.Tensor]) -> None:
    weight = tensors["layer0.weight"]
    changed = weight.clone()
    changed[3, 3] += 1
    others = [
        {**tensors, "layer0.weight": changed},
        {**tensors, "layer0.weight": weight.reshape(16, 64)},
        {**tensors, "layer0.weight": weight.view(torch.bfloat16)},
        {**tensors, "layer9.weight": weight},
        {**tensors, "layer0.weight": tensors["layer1.weight"], "layer1.weight": weight},
    ]
    digests = {weights_digest(each) for each in (tensors, *others)}
    assert len(digests) == len(others) + 1
    assert weights_digest(dict(reversed(tensors.items()))) == weights_digest(tensors)


@pytest.mark.parametrize("shard_size", ["5GB", "5KB"])
def test_a_changed_tensor_is_noticed(
    tmp_path: Path, tensors: dict[str, torch.Tensor], shard_size: str
) -> None:
    write_weights(tmp_path, tensors, shard_size)
    path = weight_files(tmp_path)[0]
    whole = bytearray(path.read_bytes())
    whole[-1] ^= 1
    path.write_bytes(whole)
    with pytest.raises(WeightsError, match="not the sha256 that was"):
        read_weights(tmp_path)


def test_a_shard_of_another_model_is_noticed(
    tmp_path: Path, tensors: dict[str, torch.Tensor]
) -> None:
    write_weights(tmp_path / "a", tensors, "5KB")
    write_weights(tmp_path / "b", {k: v + 1 for k, v in tensors.items()}, "5KB")
    first = weight_files(tmp_path / "a")[0]
    first.write_bytes((tmp_path / "b" / first.name).read_bytes())
    with pytest.raises(WeightsError, match="sha256"):
        read_weights(tmp_path / "a")


def test_weights_without_a_digest_are_taken(
    tmp_path: Path, tensors: dict[str, torch.Tensor]
) -> None:
    save_file(tensors, tmp_path / "model.safetensors")
    with safe_open(tmp_path / "model.safetensors", framework="pt") as file:
        assert not file.metadata()
    assert read_weights(tmp_path).keys() == tensors.keys()


def test_a_missing_shard_is_named(tmp_path: Path, tensors: dict[str, torch.Tensor]) -> None:
    write_weights(tmp_path, tensors, "5KB")
    weight_files(tmp_path)[1].unlink()
    with pytest.raises(WeightsError, match=r"model-00002-of-00003\.safetensors.*shamisa pull"):
        read_weights(tmp_path)
    with pytest.raises(WeightsError, match=r"model\.safetensors"):
        read_weights(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "index",
    [
        {"weight_map": "x"},
        {"weight_map": {"a": 3}},
        {"weight_map": {"a": "../model.safetensors"}},
        {"weight_map": None},
        {"weight_map": {}, "metadata": None},
        {"weight_map": {}, "metadata": ["sha256"]},
    ],
)
def test_a_broken_index_is_named(tmp_path: Path, index: dict[str, object]) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path.parent / "model.safetensors")
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(WeightsError, match="index"):
        read_weights(tmp_path)
    assert load_file(tmp_path.parent / "model.safetensors")
