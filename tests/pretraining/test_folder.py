"""A new run in a folder that is not empty: what it may replace, and what not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shamisa_cli.errors import UsageError
from shamisa_cli.pretraining.config import PretrainConfig
from shamisa_cli.pretraining.folder import NAMES, check_folder, remove_run
from shamisa_cli.settings import to_mapping
from shamisa_cli.training.checkpoint import Checkpoint, save_checkpoint


def content(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def begun(out: Path) -> Path:
    """A run that has saved nothing yet."""
    out.mkdir()
    (out / "config.json").write_text(json.dumps(to_mapping(PretrainConfig())))
    (out / "log.jsonl").write_text('{"step": 1}\n')
    return out


@pytest.mark.parametrize("name", NAMES)
def test_what_no_run_made_is_never_replaced(tmp_path: Path, name: str) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"beside it nothing is lost")
    check_folder(tmp_path)
    check_folder(tmp_path / "none")
    (tmp_path / name).write_text('{"backbone": "resnet50", "pooling": "regions"}')
    before = content(tmp_path)
    for overwrite in (False, True):
        with pytest.raises(UsageError, match=f"{name}: is there, and no run made it"):
            check_folder(tmp_path, overwrite=overwrite)
    assert content(tmp_path) == before


def test_a_run_is_replaced_when_asked(tmp_path: Path) -> None:
    out = begun(tmp_path / "run")
    check_folder(out)  # nothing was saved
    (out / "model").mkdir()
    with pytest.raises(UsageError, match="a model, and no checkpoint to resume: replace it with"):
        check_folder(out)
    check_folder(out, overwrite=True)
    checkpoint = Checkpoint(3, 1.0, {}, {}, {"state": {}, "param_groups": []}, {})
    save_checkpoint(out / "checkpoints", checkpoint)
    with pytest.raises(UsageError, match=r"\(step 3\): resume it, replace it with overwrite, or"):
        check_folder(out)
    check_folder(out, overwrite=True)
    (out / "notes.txt").write_text("mine")
    remove_run(out)
    assert list(content(out)) == [out / "notes.txt"]
    assert [path.name for path in out.iterdir()] == ["notes.txt"]
