"""The log of a run, where it cannot be written."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from shamisa_cli.errors import ShamisaError
from shamisa_cli.training.log import RunLog, read_log


def test_a_full_disk_is_named_and_resumed_from(
    tmp_path: Path, no_file_over: Callable[[int], AbstractContextManager[None]]
) -> None:
    path = tmp_path / "log.jsonl"
    log = RunLog(path, 0)
    log.write({"step": 1})
    full = pytest.raises(ShamisaError, match=r"log\.jsonl: .*\(.*\); make room, then --resume")
    with no_file_over(20), full:
        log.write({"step": 2, "total": 1.0})
    again = RunLog(path, 1)  # without the torn line
    again.write({"step": 2})
    again.close()
    assert read_log(path) == [{"step": 1}, {"step": 2}]
    with no_file_over(15), full:
        RunLog(path, 2)
    assert [p.name for p in tmp_path.iterdir()] == ["log.jsonl"]
