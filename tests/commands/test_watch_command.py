"""`shamisa watch`: real files, which another thread or program puts there; no clock is compared."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from shamisa_cli.cli import app
from shamisa_cli.models.head import HeadInfo
from shamisa_cli.scoring.score import Score
from shamisa_cli.scoring.sidecars import Ratings, write_sidecar

HEAD = HeadInfo("h", "d", (0, 1), True, 9, 2, 1.0)
LIMIT = 120.0
"""s until something that should happen counts as missing."""


class Scorer:
    """A score is the number in the file; other content cannot be decoded."""

    model, head = "m@1", SimpleNamespace(info=HEAD)

    def __init__(self) -> None:
        self.tried: list[str] = []

    def score_many(self, photos: Iterator[str]) -> Iterator[Score]:
        for path in photos:
            content = Path(path).read_text()
            self.tried.append(Path(path).name)
            if content.isdecimal():
                yield Score(path, float(content), 4, 3, 4, 3, self.model, "h")
            else:
                yield Score(path, None, None, None, None, None, self.model, "h", "failed", "torn")


@pytest.fixture
def scorer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scorer]:
    made, before = Scorer(), signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr("shamisa_cli.scoring.load", lambda **_: made)
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    yield made
    signal.signal(signal.SIGTERM, before)


def until(happens: Callable[[], object]) -> None:
    ends = time.monotonic() + LIMIT
    while not happens() and time.monotonic() < ends:
        time.sleep(0.02)
    assert happens()


def rows() -> dict[str, str]:
    """The score of each photo; one that has two rows, or a torn one, is told."""
    if not Path("o.csv").exists():
        return {}
    with Path("o.csv").open(newline="") as file:
        found = [(Path(row["path"]).name, row["score"]) for row in csv.DictReader(file)]
    assert len(dict(found)) == len(found)
    return dict(found)


def watch(steps: Callable[[], None], *arguments: str) -> Result:
    """Watch ``in`` while ``steps`` are taken; in the end the folder vanishes."""
    failed: list[BaseException] = []

    def take() -> None:
        try:
            steps()
        except BaseException as error:
            failed.append(error)
        finally:
            shutil.rmtree("in")

    thread = threading.Thread(target=take)
    thread.start()
    command = ["watch", "in", "--csv", "o.csv", "--steady", "0.1", *arguments]
    result = CliRunner().invoke(app, command)
    thread.join()
    if failed:
        raise failed[0]
    assert result.exit_code == 1
    assert "in: this folder is not there any more" in result.stderr
    return result


@pytest.mark.parametrize("how", [["--poll", "0.05"], []], ids=["poll", "events"])
def test_photos_are_scored_as_they_come(scorer: Scorer, how: list[str]) -> None:
    Path("in/old.jpg").write_text("10")

    def steps() -> None:
        until(lambda: rows() == {"old.jpg": "10.0"})
        Path("in/half.jpg").write_text("half")
        until(lambda: "half.jpg" in scorer.tried)
        Path("in/half.jpg").write_text("20")
        until(lambda: rows().get("half.jpg") == "20.0")
        Path("in/sub").mkdir()
        Path("in/sub/photo.jpg.part").write_text("30")
        Path("in/sub/photo.jpg.part").rename("in/sub/photo.jpg")
        until(lambda: rows().get("photo.jpg") == "30.0")
        Path("in/old.jpg").write_text("100")
        until(lambda: rows().get("old.jpg") == "100.0")
        Path("in/junk.jpg").write_text("junk")
        until(lambda: "junk.jpg" in rows())
        until(lambda: Path("in/old.jpg.xmp").exists())
        assert 'Rating="5"' in Path("in/old.jpg.xmp").read_text()

    result = watch(steps, "--xmp", *how)
    assert rows() == {"old.jpg": "100.0", "half.jpg": "20.0", "photo.jpg": "30.0", "junk.jpg": ""}
    assert "watching in; Ctrl-C ends" in result.stderr
    assert "replaced since, scored again: in/old.jpg (1)" in result.stderr
    assert "30.0000\tok\tin/sub/photo.jpg\n" in result.stdout
    assert scorer.tried.count("photo.jpg") == 1


def test_it_goes_on_where_it_was(scorer: Scorer) -> None:
    for n in range(5):
        Path(f"in/{n}.jpg").write_text(str(n))
    assert CliRunner().invoke(app, ["score", "in", "--csv", "o.csv"]).exit_code == 0
    Path("in/3.jpg").write_text("33")
    scorer.tried.clear()

    def steps() -> None:
        Path("in/5.jpg").write_text("5")
        until(lambda: len(rows()) == 6)

    assert watch(steps, "--poll", "0.05", "--quiet").stdout == ""
    assert sorted(scorer.tried) == ["3.jpg", "5.jpg"]
    assert rows()["3.jpg"] == "33.0"


def test_a_photo_that_comes_back_keeps_its_row(scorer: Scorer) -> None:
    """Whether it was there in this run or in an earlier one; another of its name is scored."""
    for name in ("now", "earlier", "other"):
        Path(f"in/{name}.jpg").write_text("10")
    assert CliRunner().invoke(app, ["score", "in", "--csv", "o.csv"]).exit_code == 0
    Path("in/earlier.jpg").rename("earlier.jpg")
    scorer.tried.clear()

    def put(name: str, score: str) -> None:
        Path(name).write_text(score)
        Path(name).rename(f"in/{name}")
        until(lambda: rows().get(name) == f"{score}.0")

    def steps() -> None:
        put("new.jpg", "20")
        for name in ("now.jpg", "new.jpg", "other.jpg"):
            Path(f"in/{name}").rename(name)
        put("y.jpg", "20")  # so the folder was looked at
        for name in ("now.jpg", "new.jpg", "earlier.jpg"):
            Path(name).rename(f"in/{name}")
        put("other.jpg", "30")

    watch(steps, "--poll", "0.05")
    assert scorer.tried == ["new.jpg", "y.jpg", "other.jpg"]
    assert len(rows()) == 5


def test_only_sidecars_of_what_came_are_read(
    scorer: Scorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    rated: Counter[str] = Counter()

    def count(row: Score, ratings: Ratings) -> bool:
        rated[Path(row.path).name] += 1
        return write_sidecar(row, ratings)

    for n in range(4):
        Path(f"in/{n}.jpg").write_text("10")
    assert CliRunner().invoke(app, ["score", "in", "--csv", "o.csv"]).exit_code == 0
    Path("in/3.jpg").rename("3.jpg")
    monkeypatch.setattr("shamisa_cli.scoring.sidecars.write_sidecar", count)

    def steps() -> None:
        until(lambda: len(list(Path("in").glob("*.xmp"))) == 3)
        for score in (50, 100):
            Path("0.jpg").write_text(str(score))
            Path("0.jpg").rename("in/0.jpg")
            until(lambda score=score: rows().get("0.jpg") == f"{score}.0")
        Path("3.jpg").rename("in/3.jpg")  # its row stays, and it has no sidecar yet
        until(Path("in/3.jpg.xmp").exists)

    watch(steps, "--xmp", "--poll", "0.05")
    assert rated == {"0.jpg": 3, "1.jpg": 1, "2.jpg": 1, "3.jpg": 1}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["in"], "rows need a file that is kept: give --csv, --json or --jsonl a name"),
        (["in", "--csv", "-"], "rows need a file that is kept"),
        (["none", "--csv", "o.csv"], "none: no such folder"),
        (["a.jpg", "--csv", "o.csv"], "a.jpg: is a file, not a folder"),
        (["in", "--csv", "a.jpg"], "is no CSV file of this shamisa score"),
        (["in", "--csv", "o.csv", "--steady", "0"], "0.0 is not in the range"),
        (["in", "--csv", "o.csv", "--stars", "1,2,3,4"], "--stars has no effect without --xmp"),
    ],
)
def test_wrong_usage(scorer: Scorer, arguments: list[str], says: str) -> None:
    Path("a.jpg").write_text("a photo")
    result = CliRunner().invoke(app, ["watch", *arguments])
    assert result.exit_code == 2
    assert says in result.stderr


def test_without_watchdog_there_is_poll(scorer: Scorer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    result = CliRunner().invoke(app, ["watch", "in", "--csv", "o.csv"])
    assert result.exit_code == 2
    assert "pip install 'shamisa[watch]'; or give --poll 2" in result.stderr


@pytest.mark.skipif(os.name == "nt", reason="no SIGTERM to send there")
def test_to_be_stopped_is_no_failure(scorer: Scorer) -> None:
    Path("in/a.jpg").write_text("10")

    def stop() -> None:
        try:
            until(lambda: rows().get("a.jpg"))
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=stop)
    thread.start()
    command = ["watch", "in", "--csv", "o.csv", "--steady", "0.1", "--poll", "0.05"]
    assert CliRunner().invoke(app, command).exit_code == 0
    thread.join()
    assert rows() == {"a.jpg": "10.0"}


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT to send there")
def test_ctrl_c_ends_it(
    tmp_path: Path,
    tiny_model: Path,
    sample_photos: list[Image.Image],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    sample_photos[0].resize((64, 48)).save("in/a.png")
    command = [sys.executable, "-m", "shamisa_cli", "watch", "in", "--csv", "o.csv"]
    command += ["--model", str(tiny_model), "--device", "cpu", "--steady", "0.1"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            until(lambda: rows().get("a.png"))
            process.send_signal(signal.SIGINT)
            assert process.wait(LIMIT) == 130
        finally:
            process.kill()
        assert process.stderr is not None
        assert process.stderr.read().endswith("stopped by Ctrl-C\n")
    assert rows()["a.png"]
    assert not list(Path().glob(".*.lock"))
