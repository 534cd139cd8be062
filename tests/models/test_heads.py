"""Heads on disk: same score after the round trip, and refusals that name the file."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from shamisa_cli.errors import UnknownNameError, UsageError, WeightsError
from shamisa_cli.models.head import Head, HeadInfo
from shamisa_cli.models.heads import list_heads, load_head, save_head


@pytest.fixture
def head() -> Head:
    weight = torch.randn(6, generator=torch.Generator().manual_seed(1))
    knots = ((1.0, 100.0), (2.0, 30.0), (5.0, 0.0))
    facts = ("clive-ladder", "clive", (1.0, 5.0), False, 650, 6, 0.125)
    return Head(weight, 1 / 3, HeadInfo(*facts, {"srcc": 0.5}, knots, note="with ladders"))


def test_round_trip_keeps_info_and_score(tmp_path: Path, head: Head) -> None:
    save_head(tmp_path, head)
    again = load_head(tmp_path, "clive-ladder")
    features = torch.randn(5, 6, generator=torch.Generator().manual_seed(2))
    assert again.info == head.info
    assert again.score(features) == head.score(features)
    assert list_heads(tmp_path) == ["clive-ladder"]
    modes = {path.stat().st_mode for path in (tmp_path / "heads").iterdir()}
    assert len(modes) == 1


def test_a_head_takes_the_place_of_another_only_when_asked(tmp_path: Path, head: Head) -> None:
    path = save_head(tmp_path, head)
    before = path.read_bytes(), path.with_suffix(".safetensors").read_bytes()
    other = dataclasses.replace(head, bias=1.0)
    with pytest.raises(UsageError, match=r"clive-ladder\.json: .* with overwrite, or"):
        save_head(tmp_path, other)
    assert (path.read_bytes(), path.with_suffix(".safetensors").read_bytes()) == before
    save_head(tmp_path, other, overwrite=True)
    assert load_head(tmp_path, "clive-ladder").bias == 1.0


def test_unknown_names_get_near_matches(tmp_path: Path, head: Head) -> None:
    with pytest.raises(UnknownNameError, match="holds none"):
        load_head(tmp_path, "clive")
    save_head(tmp_path, head)
    with pytest.raises(UnknownNameError, match="Did you mean clive-ladder"):
        load_head(tmp_path, "clive-lader")


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "a b"])
def test_names_that_cannot_be_files_are_refused(tmp_path: Path, head: Head, name: str) -> None:
    named = dataclasses.replace(head, info=dataclasses.replace(head.info, name=name))
    with pytest.raises(UsageError, match="head name"):
        save_head(tmp_path, named)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, head: Head) -> None:
    (tmp_path / "heads").write_text("a file in the way")
    with pytest.raises(WeightsError, match=r"heads.*: cannot be written .*copy the model folder"):
        save_head(tmp_path, head)


def test_damaged_files_are_named(tmp_path: Path, head: Head) -> None:
    info_path = save_head(tmp_path, head)
    tensors_path = info_path.with_suffix(".safetensors")
    bias = torch.tensor(0.0)
    for content, message in (
        (tensors_path.read_bytes()[:20], r"clive-ladder\.safetensors"),
        (save({"weight": torch.ones(6)}), "expected the tensors"),
        (save({"weight": torch.ones(7), "bias": bias}), "does not fit"),
    ):
        tensors_path.write_bytes(content)
        with pytest.raises(WeightsError, match=message):
            load_head(tmp_path, "clive-ladder")
    tensors_path.unlink()
    with pytest.raises(WeightsError, match=r"clive-ladder\.safetensors"):
        load_head(tmp_path, "clive-ladder")
    values = json.loads(info_path.read_text())
    changed = ({**values, "alhpa": 1.0}, {**values, "n_images": "many"}, [values])
    for text in (*map(json.dumps, changed), "{"):
        info_path.write_text(text)
        with pytest.raises(WeightsError, match=r"clive-ladder\.json"):
            load_head(tmp_path, "clive-ladder")
