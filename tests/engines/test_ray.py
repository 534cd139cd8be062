"""The engine Ray, on a cluster of its own; tests/sharding has it on one that was there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import cluster_work
import pytest

from shamisa_cli.engines.registry import open_engine
from shamisa_cli.errors import ShamisaError, UsageError

pytest.importorskip("ray", reason="Ray is not installed")

DRIVER = """
import json, sys
from functools import partial
from pathlib import Path
import cluster_work
from shamisa_cli.engines.ray import Ray
if __name__ == "__main__":
    tasks = [("square", n) for n in range(8)]
    tasks[1:1] = list(cluster_work.BAD)
    ended = []
    for each in Ray(workers=2).run(partial(cluster_work.prepare_once, Path(sys.argv[1])), tasks):
        import ray
        ended.append((each.task, each.result, each.error))
        folder = ray._private.worker._global_node.get_session_dir_path()
    print(json.dumps([ended, folder]))
"""


def test_a_local_cluster(tmp_path: Path) -> None:
    """Tasks that end their worker are failed alone. Nothing is left in the home, or said."""
    script, home, ready = (tmp_path / name for name in ("driver.py", "home", "ready"))
    script.write_text(DRIVER)
    home.mkdir()
    ready.mkdir()
    environment = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
    paths = [str(Path(__file__).parent), *sys.path]
    environment |= {"PYTHONPATH": os.pathsep.join(paths), "HOME": str(home)}
    command = [sys.executable, str(script), str(ready)]
    driver = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (driver.returncode, driver.stderr) == (0, "")
    ended, folder = json.loads(driver.stdout)
    squares = {("square", n): n * n for n in range(8)}
    by_task = {tuple(task): (result, error) for task, result, error in ended}
    assert len(ended) == len(by_task)
    assert by_task.keys() == squares.keys() | cluster_work.BAD.keys()
    assert all(by_task[task] == (result, "") for task, result in squares.items())
    assert all(error in by_task[task][1] for task, error in cluster_work.BAD.items())
    assert len(list(ready.iterdir())) <= 2 + 1  # workers, and one in the place of the dead one
    assert "shamisa-ray-" in folder
    assert not Path(folder).exists()
    assert not list(home.iterdir())


def test_what_ray_cannot_do_is_refused() -> None:
    with pytest.raises(UsageError, match="workers must be at least 1"):
        open_engine("ray", workers=-1)
    with pytest.raises(UsageError, match="gpus_per_task must be at least 0"):
        open_engine("ray", gpus_per_task=-1)
    for address in ("127.0.0.1:1", "nowhere.invalid:6379"):
        engine = open_engine("ray", address=address)
        with pytest.raises(ShamisaError, match=f"no Ray cluster at {address}: "):
            list(engine.run(cluster_work.prepare, [1]))
