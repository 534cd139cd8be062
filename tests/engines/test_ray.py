"""The engine Ray: every task once, on a cluster of two nodes that was there."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from functools import partial
from itertools import count, islice
from pathlib import Path
from typing import Any
from unittest import mock

import cluster_work
import pytest

from shamisa_cli.engines.registry import open_engine
from shamisa_cli.errors import ShamisaError, UsageError

pytest.importorskip("ray", reason="Ray is not installed")


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Two nodes of one CPU on this machine; the second may be killed."""
    from ray.cluster_utils import Cluster

    paths = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    changed = {"PYTHONPATH": os.pathsep.join(paths), "RAY_AUTH_MODE": "disabled"}
    with mock.patch.dict(os.environ, changed):  # Ray changes it too
        node = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": 2**27}
        made = Cluster(initialize_head=True, head_node_args=node)
        try:
            made.second = made.add_node(**node)
            yield made
        finally:
            made.shutdown()


def test_a_cluster_that_was_there(cluster: Any, tmp_path: Path, capfd: Any) -> None:
    """Tasks that end their worker are failed alone; then a node is killed, and none replaces it."""
    import ray

    engine = open_engine("ray", address=cluster.address)
    tasks = [("square", n) for n in range(8)]
    tasks[1:1] = list(cluster_work.BAD)
    ended = list(engine.run(partial(cluster_work.prepare_once, tmp_path), tasks))
    assert sorted(each.task for each in ended) == sorted(tasks)
    by_task = {each.task: each for each in ended}
    for task, error in cluster_work.BAD.items():
        assert error in by_task.pop(task).error
    assert all(each.result == task[1] ** 2 for task, each in by_task.items())
    assert len(list(tmp_path.iterdir())) <= 2 + 1  # workers, and one in the place of the dead one

    ended, killed = [], 0

    def naps() -> Iterator[tuple[str, float]]:
        """Until both nodes have done some, and eight more."""
        for n in count():
            if killed and n >= killed + 8:
                return
            yield "nap", 0.2 + n / 1000

    for each in engine.run(cluster_work.prepare, naps()):
        ended.append(each)
        if not killed and len({each.result for each in ended}) == 2:
            killed = len(ended)
            os.kill(cluster.second.all_processes["raylet"][0].process.pid, signal.SIGKILL)
    assert sorted(each.task for each in ended) == list(islice(naps(), len(ended)))
    failed = [each for each in ended if each.error]
    assert len(failed) <= 2  # what the node had, if anything
    assert all("its worker died" in each.error for each in failed)
    assert ended[-1].result

    one = open_engine("ray", address=cluster.address, workers=1)
    taken: list[int] = []
    limited = one.run(cluster_work.prepare, (taken.append(n) or ("square", n) for n in range(9)))
    assert next(limited).result == 0
    assert taken == [0]
    limited.close()  # type: ignore[attr-defined]
    assert not ray.is_initialized()
    assert capfd.readouterr() == ("", "")


def test_what_ray_cannot_do_is_refused() -> None:
    with pytest.raises(UsageError, match="workers must be at least 1"):
        open_engine("ray", workers=-1)
    with pytest.raises(UsageError, match="gpus_per_task must be at least 0"):
        open_engine("ray", gpus_per_task=-1)
    for address in ("127.0.0.1:1", "nowhere.invalid:6379"):
        engine = open_engine("ray", address=address)
        with pytest.raises(ShamisaError, match=f"no Ray cluster at {address}: "):
            list(engine.run(cluster_work.prepare, [1]))
