"""Shards by Ray and Dask: workers and nodes are killed, and the rows are those of one process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from poison import PlainTask, prepare_poisoned
from shard_data import IN_TAR, Inline, rows_of

from shamisa_cli.engines.engine import Engine
from shamisa_cli.engines.registry import open_engine
from shamisa_cli.sharding.run import run_shards
from shamisa_cli.sharding.storage import Folder


@pytest.fixture
def loaded_once() -> None:
    """Nodes get ``load`` by its name, and there is more than one ``conftest``: it stays."""


@contextmanager
def ray_nodes() -> Iterator[Any]:
    """Two nodes of one CPU on this machine; the second may be killed."""
    from ray.cluster_utils import Cluster

    paths = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    changed = {"PYTHONPATH": os.pathsep.join(paths), "RAY_AUTH_MODE": "disabled"}
    with (
        tempfile.TemporaryDirectory(dir="/tmp", ignore_cleanup_errors=True) as folder,
        mock.patch.dict(os.environ, {**changed, "RAY_TMPDIR": folder}),  # Ray changes it too
    ):
        node = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": 2**27}
        cluster = Cluster(initialize_head=True, head_node_args=node)
        try:
            second = cluster.add_node(**node)
            yield cluster.address, second.all_processes["raylet"][0].process.pid
        finally:
            cluster.shutdown()


@contextmanager
def dask_workers() -> Iterator[Any]:
    """Two workers of one thread on this machine; the second may be killed."""
    pipe = subprocess.PIPE
    script = Path(__file__).with_name("dask_cluster.py")
    with subprocess.Popen([sys.executable, script], stdin=pipe, stdout=pipe, text=True) as process:
        try:
            assert process.stdout is not None
            address, pid = process.stdout.readline().split()
            yield address, int(pid)
            process.communicate("\n", timeout=60)
            assert process.returncode == 0  # the engine has left it running
        finally:
            process.kill()


def killed_in_mid_run(pid: int, out: Path, parts: int = 2) -> threading.Thread:
    """Kills ``pid`` when ``out`` has some parts."""

    def wait() -> None:
        end = time.monotonic() + 300
        while len(list(out.glob("part-*"))) < parts and time.monotonic() < end:
            time.sleep(0.01)
        os.kill(pid, signal.SIGKILL)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


@pytest.mark.parametrize(("name", "cluster"), [("ray", ray_nodes), ("dask", dask_workers)])
def test_rows_are_those_of_one_process_whatever_is_killed(
    name: str,
    cluster: Callable[[], Any],
    tars: Path,
    tmp_path: Path,
    score: Any,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """A node of Ray killed without replacement, a worker of Dask; then a poison shard."""
    pytest.importorskip({"dask": "distributed"}.get(name, name), reason=f"no {name} here")
    inputs, out, alone = tars / "{00014..00019}.tar", tmp_path / "scores", tmp_path / "alone"
    with cluster() as (address, pid):
        killer = killed_in_mid_run(pid, out)
        result = score(inputs, "--out", out, "--engine", name, "--address", address)
        killer.join()
        assert result.exit_code == 1, result.output
        assert f"{6 * IN_TAR} scored, 1 failed, 6 shards done" in result.stderr
        single = open_engine(name, address=address, workers=1)
        poisoned(single, tmp_path / "poisoned")
        one_at_a_time(single)
    assert capfd.readouterr().out == ""
    with monkeypatch.context() as patch:
        patch.setattr("shamisa_cli.engines.registry.open_engine", lambda *_, **__: Inline())
        score(inputs, "--out", alone)
    # What the killed one was writing may lie beside, under a name with a dot.
    there = {path.name: path.read_bytes() for path in out.glob("[!.]*")}
    assert there == {path.name: path.read_bytes() for path in alone.iterdir()}
    rows = rows_of(out)
    assert len(rows) == len({row["path"] for row in rows}) == 6 * IN_TAR + 1


def poisoned(engine: Engine, folder: Path) -> None:
    """A shard that kills its worker each time, as one does that needs too much memory.

    One task at a time: Dask blames those too that its worker had beside it.
    """
    folder.mkdir()
    tasks = [PlainTask(name, name) for name in ("a", "poison", "b", "c")]
    outcomes = list(run_shards(engine, prepare_poisoned, Folder(str(folder)), tasks, 1))
    assert sorted(each.shard.path for each in outcomes if not each.error) == ["a", "b", "c"]
    (failed,) = [each for each in outcomes if each.error]
    assert failed.shard.path == "poison"
    assert "its worker died" in failed.error
    assert [path.name for path in folder.iterdir()] == ["failed-poison.json"]


def one_at_a_time(engine: Engine) -> None:
    """``workers`` limits what a cluster is given; closing the run leaves the cluster."""
    taken: list[str] = []

    def tasks() -> Iterator[PlainTask]:
        for name in "abcdef":
            taken.append(name)
            yield PlainTask(name, name)

    ended = engine.run(prepare_poisoned, tasks())
    assert next(ended).result == "a"
    assert taken == ["a"]
    ended.close()  # type: ignore[attr-defined]
