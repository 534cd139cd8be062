"""Whole runs of ``shamisa score --out``: by processes, killed and gone on with, beside others."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from poison import PlainTask, prepare_poisoned
from shard_data import FIXED, IN_TAR, TARS, Inline, rows_of

from shamisa_cli.cli import app
from shamisa_cli.engines.processes import Processes
from shamisa_cli.scoring import Scorer, load
from shamisa_cli.sharding import run as running
from shamisa_cli.sharding.manifest import read_manifest
from shamisa_cli.sharding.storage import Folder


@dataclass(frozen=True)
class Killed:
    """A run whose driver was killed, and which was then gone on with."""

    out: Path
    before: dict[str, tuple[int, int]]
    result: Result


@pytest.fixture(scope="module")
def scorer(tiny_model: Path) -> Scorer:
    return load(tiny_model, device="cpu", precision="fp32", crops="whole")


@pytest.fixture(scope="module")
def killed(tars: Path, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Killed:
    """20 tars by a worker process; the driver is killed (SIGKILL) once ten parts are there."""
    out = tmp_path_factory.mktemp("killed") / "scores"
    command = ["score", str(tars / "{00000..00019}.tar"), "--out", str(out), "--workers", "1"]
    command += ["--model", str(tiny_model), *FIXED]
    driver = subprocess.Popen(
        [sys.executable, "-m", "shamisa_cli", *command], stderr=subprocess.DEVNULL
    )
    try:
        end = time.monotonic() + 300
        while len(list(out.glob("part-*"))) < 10 and time.monotonic() < end:
            time.sleep(0.002)
        driver.send_signal(signal.SIGKILL)
    finally:
        driver.kill()
        driver.wait()
    time.sleep(2)  # its worker ends with it
    before = _stats(out)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shamisa_cli.engines.registry.open_engine", lambda *_, **__: Inline())
        return Killed(out, before, CliRunner().invoke(app, command))


def test_a_killed_driver_costs_only_unfinished_shards(killed: Killed) -> None:
    assert 10 <= len(killed.before) < 20
    after = _stats(killed.out)
    assert len(after) == 20
    assert killed.before.items() <= after.items()
    assert f"{20 - len(killed.before)} shards done" in killed.result.stderr
    assert f"{len(killed.before)} already there" in killed.result.stderr
    others = {path.name for path in killed.out.iterdir() if path.suffix != ".tmp"} - set(after)
    assert others == {"manifest.json"}


def test_20_tars_have_the_rows_of_plain_scoring(
    killed: Killed, contents: list[bytes], scorer: Scorer, tars: Path
) -> None:
    assert killed.result.exit_code == 1
    rows = rows_of(killed.out)
    plain = [score.to_row() for score in scorer.score_many(contents)]
    good = [row for row in rows if row["status"] != "failed"]
    assert len(good) == len(contents)
    for n, (row, expected) in enumerate(zip(good, plain, strict=True)):
        key = f"{n // IN_TAR:05}{n % IN_TAR:04}"
        assert row["key"] == key
        assert row["path"] == f"{tars}/{n // IN_TAR:05}.tar/{key}.jpg"
        assert {**row, "path": ""} == {**row, **expected}  # bit for bit
        assert (row["url"], row["caption"]) == (f"https://example.org/{key}.jpg", f"a photo {key}")
        assert (row["similarity"], row["exif"]) == (int(key) / 7, '{"Model": "X"}')
    (bad,) = [row for row in rows if row["status"] == "failed"]
    assert bad["path"].endswith("00019.tar/000190010.jpg")
    assert "damaged or truncated" in bad["error"]
    assert (bad["score"], bad["phash"], bad["caption"]) == (None, None, "a photo 000190010")


def test_going_on_with_a_finished_run(killed: Killed, tars: Path, score, inline: Inline) -> None:
    before = _stats(killed.out)
    result = score(tars / "{00000..00019}.tar", "--out", killed.out, "--resume")
    assert result.exit_code == 0
    assert "20 already there" in result.stderr
    assert _stats(killed.out) == before
    assert not inline.done
    status = score("--status", killed.out)
    assert status.stdout.splitlines() == [
        "shards  20 of 20 done (100%)",
        f"photos  {TARS * IN_TAR} scored, 1 failed",
    ]
    assert status.exit_code == 1


def test_a_poison_shard_ends_as_failed_and_the_rest_is_done(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path))
    tasks = [PlainTask(name, name) for name in ("a", "poison", "b", "c")]
    outcomes = list(running.run_shards(Processes(2), prepare_poisoned, folder, tasks, 3))
    assert sorted(each.shard.path for each in outcomes if not each.error) == ["a", "b", "c"]
    poisoned = [each for each in outcomes if each.error]
    assert [each.final for each in poisoned] == [False, False, True]
    assert all("SIGKILL" in each.error for each in poisoned)
    assert [path.name for path in tmp_path.iterdir()] == ["failed-poison.json"]
    assert "SIGKILL" in (tmp_path / "failed-poison.json").read_text()


def test_a_bad_shard_is_tried_again_by_the_next_run(few: Path, score, inline: Inline) -> None:
    whole = (few / "00001.tar").read_bytes()
    (few / "00001.tar").write_bytes(whole[:3000])
    result = score("data/*.tar", "--out", "scores", "--attempts", "2")
    assert result.exit_code == 1
    assert [Path(shard.path).name[:5] for shard in inline.done] == [
        "00000", "00001", "00002", "00001"
    ]  # fmt: skip
    assert "data/00001.tar failed, to be tried again: data/00001.tar: damaged" in result.stderr
    assert "given up" in result.stderr
    assert "2 shards done, 1 shards failed" in result.stderr
    status = score("--status", "scores")
    assert "shards  2 of 3 done (67%)" in status.stdout
    assert "failed  data/00001.tar" in status.stdout
    assert "copy or download it again" in status.stdout
    assert status.exit_code == 1
    stat = (few / "00001.tar").stat()
    inline.done.clear()
    again = score("data/*.tar", "--out", "scores")
    assert len(inline.done) == 3
    assert again.exit_code == 1
    assert stat == (few / "00001.tar").stat()


def test_a_shard_that_is_done_at_last_leaves_the_list_of_failed_ones(
    few: Path, score, inline: Inline, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("shamisa_cli.sharding.work.tar_samples", _broken)
        assert score("data/*.tar", "--out", "scores", "--attempts", "1").exit_code == 1
    assert len(list(Path("scores").glob("failed-*"))) == 3
    assert score("data/*.tar", "--out", "scores").exit_code == 0
    assert not list(Path("scores").glob("failed-*"))
    assert len(rows_of(Path("scores"))) == 6


def _broken(*_: object) -> None:
    raise OSError("the network is gone")


def test_two_drivers_on_one_folder_do_no_harm(
    few: Path, tiny_model: Path, score, inline: Inline
) -> None:
    assert score("data/*.tar", "--out", "alone").exit_code == 0
    shutil.copytree("alone", "shared")
    for part in Path("shared").glob("part-*"):
        part.unlink()
    folder = Folder("shared")
    manifest = read_manifest(folder)
    assert manifest is not None
    loading = {"model": str(tiny_model), "device": "cpu", "precision": "fp32", "crops": "whole"}
    prepare = running.preparation(manifest, folder, loading)
    shards = list(manifest.shards(folder))
    assert len(running.unfinished(folder, shards)) == 3
    first = running.run_shards(Inline(), prepare, folder, shards, 1)
    second = running.run_shards(Inline(), prepare, folder, shards, 1)
    assert not next(first).error
    assert len([each for each in second if not each.error]) == 3
    assert len([each for each in first if not each.error]) == 2
    there = {path.name: path.read_bytes() for path in Path("shared").iterdir()}
    assert there == {path.name: path.read_bytes() for path in Path("alone").iterdir()}


def test_ctrl_c_says_how_to_go_on(few: Path, score, monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(Inline):
        def run(self, prepare, tasks):  # type: ignore[no-untyped-def]
            for ended in super().run(prepare, tasks):
                yield ended
                raise KeyboardInterrupt

    monkeypatch.setattr("shamisa_cli.engines.registry.open_engine", lambda *_, **__: Interrupted())
    result = score("data/*.tar", "--out", "scores")
    assert result.exit_code == 130
    assert "go on with the same command" in result.stderr
    assert len(list(Path("scores").glob("part-*"))) == 1


def _stats(folder: Path) -> dict[str, tuple[int, int]]:
    parts = folder.glob("part-*.parquet")
    return {part.name: (part.stat().st_mtime_ns, part.stat().st_ino) for part in parts}
