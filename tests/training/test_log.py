"""The log of a run: where it cannot be written, and its copy for TensorBoard."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from shamisa_cli.errors import ShamisaError
from shamisa_cli.training.log import RunLog, read_log, scalars, tensorboard_writer


def test_a_full_disk_is_named_and_resumed_from(
    tmp_path: Path, no_file_over: Callable[[int], AbstractContextManager[None]]
) -> None:
    path = tmp_path / "log.jsonl"
    log = RunLog(path, 0)
    log.write({"step": 1})
    full = pytest.raises(ShamisaError, match=r"log\.jsonl: .*\(.*\); make room, then resume")
    with no_file_over(20), full:
        log.write({"step": 2, "total": 1.0})
    again = RunLog(path, 1)  # without the torn line
    again.write({"step": 2})
    again.close()
    assert read_log(path) == [{"step": 1}, {"step": 2}]
    with no_file_over(15), full:
        RunLog(path, 2)
    assert [p.name for p in tmp_path.iterdir()] == ["log.jsonl"]


class Writer:
    """What of TensorBoard's writer is used. State: what it was given, and whether it is closed."""

    made: Writer

    def __init__(self, folder: str, purge_step: int | None = None) -> None:
        Writer.made = self
        self.folder, self.purge_step, self.open = folder, purge_step, True
        self.written: list[tuple[str, float, int]] = []

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self.open = False

    def add_scalar(self, tag: str, value: float, step: int) -> None:
        self.written.append((tag, value, step))


@pytest.fixture
def writer(monkeypatch: pytest.MonkeyPatch) -> type[Writer]:
    """A stand-in for TensorBoard, installed or not."""
    module: Any = ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = Writer
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    return Writer


def test_a_resumed_curve_has_each_step_once_and_is_closed(
    tmp_path: Path, writer: type[Writer]
) -> None:
    with suppress(KeyboardInterrupt), tensorboard_writer(tmp_path, 5) as write:
        assert write is not None
        write({"step": 5, "total": 1.5})
        assert writer.made.open
        raise KeyboardInterrupt
    assert writer.made.folder == str(tmp_path / "tensorboard")
    assert writer.made.purge_step == 5
    assert writer.made.written == [("total", 1.5, 5)]
    assert not writer.made.open


def test_without_tensorboard_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with tensorboard_writer(tmp_path, 1) as write:
        assert write is None


def test_tables_become_tags_and_the_step_is_none() -> None:
    record = {"step": 3, "total": 1.5, "crop": 112, "alpha": {"knn": 0.25, "ref_ref": 0.75}}
    assert scalars(record) == {
        "total": 1.5,
        "crop": 112,
        "alpha/knn": 0.25,
        "alpha/ref_ref": 0.75,
    }
