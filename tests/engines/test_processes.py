"""The engine ``processes``: every task once, whatever becomes of a worker."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain, count
from pathlib import Path

import engine_work
import pytest

from shamisa_cli.engines.processes import Processes
from shamisa_cli.engines.registry import open_engine
from shamisa_cli.errors import ShamisaError, UnknownNameError, UsageError


def test_each_task_ends_once_whatever_becomes_of_its_worker() -> None:
    tasks = [("square", n) for n in range(6)]
    tasks[1:1] = [("kill", 0), ("fail", 3), ("exit", 0)]
    ended = list(Processes(2).run(engine_work.prepare, tasks))
    assert sorted(each.task for each in ended) == sorted(tasks)
    by_task = {each.task: each for each in ended}
    assert all(by_task["square", n].result == n * n for n in range(6))
    assert all(by_task["square", n].error == "" for n in range(6))
    assert by_task["fail", 3].error == "ValueError: cannot do 3"
    assert "killed by SIGKILL" in by_task["kill", 0].error
    assert "exit code 7" in by_task["exit", 0].error
    assert all(by_task[bad].result is None for bad in (("fail", 3), ("kill", 0), ("exit", 0)))


def test_workers_prepare_once_and_take_tasks_as_they_become_free(tmp_path: Path) -> None:
    taken: list[int] = []

    def tasks() -> Iterator[tuple[str, int]]:
        for n in range(6):
            taken.append(n)
            yield "square", n

    ended = Processes(2).run(partial(engine_work.prepare_once, tmp_path), tasks())
    next(ended)
    assert len(taken) <= 3
    assert len(list(ended)) == 5
    assert 1 <= len(list(tmp_path.iterdir())) <= 2


def test_fewer_tasks_than_workers(tmp_path: Path) -> None:
    engine = Processes(4)
    assert not list(engine.run(engine_work.prepare, []))
    assert len(list(engine.run(partial(engine_work.prepare_once, tmp_path), [("square", 2)]))) == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_workers_that_cannot_get_ready_are_an_error() -> None:
    with pytest.raises(ShamisaError, match="could not be made ready: ValueError: no such model"):
        list(Processes(1).run(engine_work.cannot_prepare, [("square", 1)]))
    with pytest.raises(ShamisaError, match="died before they were ready"):
        list(Processes(1).run(engine_work.dies_early, [("square", 1)]))


def test_closing_the_iterator_stops_the_workers(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    tasks = chain([("sleep", str(note))], (("square", n) for n in count()))
    ended = Processes(2).run(engine_work.prepare, tasks)
    next(each for each in ended if note.exists() and note.read_text())
    pid = int(note.read_text())
    ended.close()  # type: ignore[attr-defined]
    assert not _alive(pid)


DRIVER = """
import sys, engine_work
from shamisa_cli.engines.processes import Processes
if __name__ == "__main__":
    list(Processes(1).run(engine_work.prepare, [("sleep", sys.argv[1])]))
"""


def test_workers_end_with_a_killed_caller(tmp_path: Path) -> None:
    script, note = tmp_path / "driver.py", tmp_path / "pid"
    script.write_text(DRIVER)
    paths = [str(Path(__file__).parent), *sys.path]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    driver = subprocess.Popen([sys.executable, str(script), str(note)], env=environment)
    try:
        pid = int(_eventually(lambda: note.exists() and note.read_text()))
        driver.send_signal(signal.SIGKILL)
        driver.wait()
        _eventually(lambda: not _alive(pid))
    finally:
        driver.kill()
        driver.wait()


def test_unknown_and_absent_engines_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert open_engine("processes", workers=3).name == "processes"
    with pytest.raises(UnknownNameError, match="Did you mean processes"):
        open_engine("process")
    with pytest.raises(UsageError, match="address is for the engines ray and dask"):
        open_engine("processes", address="auto")
    with pytest.raises(UsageError, match="workers must be at least 1"):
        open_engine("processes", workers=-1)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for name in ("ray", "dask"):
        with pytest.raises(UsageError, match=rf"pip install 'shamisa\[{name}\]'"):
            open_engine(name)


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def _eventually(look: Callable[[], object], seconds: float = 30) -> str:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = look()
        if found:
            return str(found)
        time.sleep(0.05)
    raise AssertionError("it never came")
