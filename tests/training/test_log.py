"""The log of a run: where it cannot be written, and its copy for TensorBoard."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from unittest.mock import MagicMock

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
    assert path.read_text() == '{"step": 1}\n'  # and nothing of the second
    again = RunLog(path, 1)
    again.write({"step": 2})
    again.close()
    assert read_log(path) == [{"step": 1}, {"step": 2}]
    with no_file_over(15), full:
        RunLog(path, 2)
    assert [p.name for p in tmp_path.iterdir()] == ["log.jsonl"]


def test_a_resumed_curve_has_each_step_once_and_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tensorboard = MagicMock()
    opened = tensorboard.SummaryWriter.return_value
    opened.__exit__.return_value = None
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", tensorboard)
    with suppress(KeyboardInterrupt), tensorboard_writer(tmp_path, 5) as write:
        assert write is not None
        write({"step": 5, "total": 1.5})
        opened.__exit__.assert_not_called()
        raise KeyboardInterrupt
    folder = str(tmp_path / "tensorboard")
    tensorboard.SummaryWriter.assert_called_once_with(folder, purge_step=5)
    opened.__enter__.return_value.add_scalar.assert_called_once_with("total", 1.5, 5)
    opened.__exit__.assert_called_once()


def test_without_tensorboard_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with tensorboard_writer(tmp_path, 1) as write:
        assert write is None


def test_tables_become_tags_and_the_step_is_none() -> None:
    record = {"step": 3, "total": 1.5, "crop": 112, "alpha": {"knn": 0.25, "ref_ref": 0.75}}
    assert scalars(record) == {"total": 1.5, "crop": 112, "alpha/knn": 0.25, "alpha/ref_ref": 0.75}
