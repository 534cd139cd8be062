"""Tensors on disk: what is written is read, and what changed on the way is noticed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from shamisa_cli.errors import WeightsError
from shamisa_cli.models.weights import (
    WEIGHTS_FILE,
    encode_weights,
    read_weights,
    weights_digest,
    write_files,
)


@pytest.fixture
def tensors() -> dict[str, torch.Tensor]:
    g = torch.Generator().manual_seed(0)
    made = {f"layer{i}.weight": torch.randn(64, 16, generator=g).half() for i in range(6)}
    return {**made, "steps": torch.tensor(7), "none": torch.zeros(0)}


def write(folder: Path, tensors: dict[str, torch.Tensor]) -> Path:
    write_files({folder / WEIGHTS_FILE: encode_weights(tensors)})
    return folder / WEIGHTS_FILE


def test_what_is_written_is_read(tmp_path: Path, tensors: dict[str, torch.Tensor]) -> None:
    with pytest.raises(WeightsError, match=r"model\.safetensors.*shamisa pull"):
        read_weights(tmp_path / "new")
    write(tmp_path / "new", tensors)
    read = read_weights(tmp_path / "new")
    assert read.keys() == tensors.keys()
    assert all(torch.equal(read[key], tensors[key]) for key in tensors)
    assert all(read[key].dtype == tensors[key].dtype for key in tensors)


def test_files_are_replaced_all_or_none_and_others_may_read_them(tmp_path: Path) -> None:
    a, b, other = tmp_path / "a", tmp_path / "b", tmp_path / "other"
    for path in (a, other):
        path.write_bytes(b"old")
    b.mkdir()  # no file takes its place
    (b / "x").touch()
    with pytest.raises(WeightsError, match=r"b: cannot be written .*nothing was replaced"):
        write_files({b: b"new", a: b"new"})
    assert a.read_bytes() == b"old"
    write_files({tmp_path / "c": b"new", a: b"new"})
    assert a.read_bytes() == b"new"
    assert a.stat().st_mode == other.stat().st_mode
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "c", "other"]


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


def test_a_changed_tensor_is_noticed(tmp_path: Path, tensors: dict[str, torch.Tensor]) -> None:
    path = write(tmp_path, tensors)
    whole = bytearray(path.read_bytes())
    whole[-1] ^= 1
    path.write_bytes(whole)
    with pytest.raises(WeightsError, match="not the sha256 that was"):
        read_weights(tmp_path)


def test_weights_without_a_digest_are_taken(
    tmp_path: Path, tensors: dict[str, torch.Tensor]
) -> None:
    save_file(tensors, tmp_path / "model.safetensors")
    with safe_open(tmp_path / "model.safetensors", framework="pt") as file:
        assert not file.metadata()
    assert read_weights(tmp_path).keys() == tensors.keys()
