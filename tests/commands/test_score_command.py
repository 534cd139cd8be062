"""``shamisa score`` as a user meets it: what is printed, what is written, exit codes."""

from __future__ import annotations

import csv
import functools
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from shamisa_cli.cli import app
from shamisa_cli.files import locked
from shamisa_cli.scoring import Scorer, load
from shamisa_cli.scoring.rows import read_rows
from shamisa_cli.scoring.score import COLUMNS


@pytest.fixture
def photos(
    tmp_path: Path, sample_photos: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A folder ``photos`` with six small ones, the fourth damaged; we stand beside it."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for n in range(6):
        sample_photos[n % 2].resize((300 - 10 * n, 240)).save(folder / f"p{n}.png")
    damaged = folder / "p3.png"
    damaged.write_bytes(damaged.read_bytes()[:2000])
    monkeypatch.chdir(tmp_path)
    return folder


_loaded = functools.cache(load)


@pytest.fixture
def score(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    """Runs ``shamisa score`` with the small model, in fp32 on the CPU; it is loaded once."""
    monkeypatch.setattr("shamisa_cli.scoring.load", _loaded)

    def run(*args: str, **options: object) -> Result:
        fixed = ["--model", str(tiny_model), "--device", "cpu", "--precision", "fp32"]
        return CliRunner().invoke(app, ["score", *args, *fixed], **options)  # type: ignore[arg-type]

    return run


def table(path: str) -> list[dict[str, str]]:
    with Path(path).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_one_damaged_photo_costs_one_row(photos: Path, score) -> None:
    result = score("photos", "--csv", "out.csv")
    assert result.exit_code == 1
    rows = table("out.csv")
    assert tuple(rows[0]) == COLUMNS
    assert [row["path"] for row in rows] == [f"photos/p{n}.png" for n in range(6)]
    assert [row["status"] == "failed" for row in rows] == [n == 3 for n in range(6)]
    assert "truncated" in rows[3]["error"]
    assert rows[3]["score"] == ""
    assert all(0 <= float(row["score"]) <= 100 for row in rows if row["score"])
    assert (rows[1]["width"], rows[1]["height"], rows[1]["head"]) == ("290", "240", "toy")
    assert re.search(r"5 scored, 1 failed in [\d.]+ s \([\d.]+ photos/s\)", result.stderr)
    assert "out.csv" in result.stderr
    assert result.stdout == ""


def test_lines_in_a_pipe(photos: Path, score) -> None:
    result = score("photos/p1.png", "photos/p3.png", "none.jpg")
    good, bad, none = (line.split("\t") for line in result.stdout.splitlines())
    assert (good[1], good[2], len(good)) == ("padded", "photos/p1.png", 3)
    assert 0 <= float(good[0]) <= 100
    assert bad[:3] == ["-", "failed", "photos/p3.png"]
    assert none == ["-", "failed", "none.jpg", "no such file"]
    assert result.exit_code == 1


def test_what_the_head_means_is_told_unless_quiet(photos: Path, score) -> None:
    result = score("photos/p0.png")
    assert result.exit_code == 0
    for fact in ("tiny@", "head toy", "two photos in four sizes", "8 images", "higher is better"):
        assert fact in result.stderr
    assert score("photos/p0.png", "--csv", "a.csv", "--quiet").output == ""
    assert "1 failed" in score("photos/p3.png", "--csv", "b.csv", "--quiet").stderr


def test_sorted_best_first(photos: Path, score) -> None:
    score("photos", "--csv", "o.csv", "--sort")
    rows = table("o.csv")
    scores = [float(row["score"]) for row in rows[:-1]]
    assert scores == sorted(scores, reverse=True)
    assert rows[-1]["status"] == "failed"
    printed = [line.split("\t")[2] for line in score("photos", "--sort").stdout.splitlines()]
    assert printed == [row["path"] for row in rows]


def test_lists_patterns_and_folders_together(photos: Path, score) -> None:
    Path("list.txt").write_text("photos/p5.png\n\nphotos/p2.png\n")
    score("photos/p[01].png", "--from-file", "list.txt", "--csv", "a.csv")
    assert [row["path"][-6:-4] for row in table("a.csv")] == ["p0", "p1", "p5", "p2"]
    score("--from-file", "-", "--csv", "b.csv", input="photos/p4.png\n")
    assert [row["path"] for row in table("b.csv")] == ["photos/p4.png"]
    (photos / "inner").mkdir()
    (photos / "p0.png").rename(photos / "inner" / "p0.png")
    assert len(score("photos").stdout.splitlines()) == 6
    assert len(score("photos", "--no-recursive").stdout.splitlines()) == 5


def test_resume_scores_only_what_is_missing(
    photos: Path, score, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored: list[str] = []
    original = Scorer.score_many

    def spy(self, paths):
        asked = list(paths)
        scored.extend(asked)
        return original(self, asked)

    monkeypatch.setattr(Scorer, "score_many", spy)
    score("photos/p0.png", "photos/p2.png", "photos/p3.png", "--csv", "o.csv", "--jsonl", "o.jsonl")
    before = table("o.csv")[:2]
    scored.clear()
    result = score(
        "photos", "--csv", "o.csv", "--jsonl", "o.jsonl", "--json", "new.json", "--resume"
    )
    assert scored == [f"photos/p{n}.png" for n in (1, 3, 4, 5)]  # p3 had failed
    assert "2 already there" in result.stderr
    rows = table("o.csv")
    assert rows[:2] == before
    assert sorted(row["path"] for row in rows) == [f"photos/p{n}.png" for n in range(6)]
    for path, kind in (("o.jsonl", "jsonl"), ("new.json", "json")):
        assert read_rows(Path(path), kind) == read_rows(Path("o.csv"), "csv")


def test_resume_refuses_what_would_be_mixed_or_lost(photos: Path, score) -> None:
    score("photos/p0.png", "photos/p1.png", "--csv", "a.csv")
    score("photos/p2.png", "--jsonl", "b.jsonl")
    row = json.loads(Path("b.jsonl").read_text())
    Path("c.jsonl").write_text(json.dumps({**row, "remark": "mine"}) + "\n")
    before = [Path(name).read_bytes() for name in ("a.csv", "b.jsonl", "c.jsonl")]
    for options, says in (
        ("--csv a.csv --native", "was made with model tiny@"),
        ("--csv a.csv --jsonl b.jsonl", "b.jsonl: holds rows that a.csv does not (1, such as"),
        ("--jsonl c.jsonl", "c.jsonl: has a field that shamisa score did not write, 'remark'"),
    ):
        refused = score("photos", *options.split(), "--resume")
        assert refused.exit_code == 2
        assert says in refused.stderr
    assert before == [Path(name).read_bytes() for name in ("a.csv", "b.jsonl", "c.jsonl")]
    assert score("photos/p0.png", "--jsonl", "c.jsonl", "--overwrite").exit_code == 2
    assert "remark" in Path("c.jsonl").read_text()


@pytest.mark.parametrize("name", ["-", "/dev/stdout"])
def test_rows_on_standard_output_are_those_of_a_file(photos: Path, score, name: str) -> None:
    """The columns of a file, whatever standard output is; beside a file too."""
    for kind in ("csv", "jsonl", "json"):
        for sort in ([], ["--sort"]):
            printed = score("photos", f"--{kind}", name, *sort).stdout
            score("photos", f"--{kind}", f"o.{kind}", "--overwrite", *sort)
            assert printed == Path(f"o.{kind}").read_text()
    assert len(json.loads(score("none.jpg", "--json", name).stdout)) == 1
    both = score("photos", "--csv", name, "--jsonl", "beside.jsonl").stdout.splitlines()
    assert len(both) == 1 + len(read_rows(Path("beside.jsonl"), "jsonl"))


def test_lists_as_windows_writes_them(photos: Path, score) -> None:
    for encoding in ("utf-8-sig", "utf-16"):
        Path("list.txt").write_text("photos/p5.png\r\nphotos/p2.png\r\n", encoding=encoding)
        listed = score("--from-file", "list.txt", "--jsonl", "-").stdout.splitlines()
        assert [json.loads(row)["path"] for row in listed] == ["photos/p5.png", "photos/p2.png"]


def test_a_photo_that_may_not_be_read_stops_no_run(
    photos: Path, score, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who runs the tests may read everything, so the question alone is answered with no."""
    monkeypatch.setattr("os.access", lambda *_, **__: False)
    assert "1 scored" in score("photos/p1.png").stderr


def test_what_is_scored_in_shards_is_told(photos: Path, score) -> None:
    Path("more.tar").write_bytes(b"")
    result = score("photos/p1.png", "more.tar")
    assert result.exit_code == 1
    assert "more.tar: tars, Parquet files and URLs are scored with --out FOLDER" in result.stderr


def test_a_name_that_begins_with_a_dash(photos: Path, score) -> None:
    (photos / "p1.png").rename("-x.png")
    result = score("-x.png")
    assert result.exit_code == 2
    assert "The file -x.png is meant? Write ./-x.png" in result.stderr
    assert score("./-x.png").exit_code == 0
    assert "is meant?" not in score("--cvs", "o.csv").stderr


def test_lists_of_find_print0(photos: Path, score) -> None:
    odd = photos / "two\nlines .png"
    (photos / "p0.png").rename(odd)
    listed = f"photos/p1.png\0photos/{odd.name}\0"
    rows = [
        json.loads(row)
        for row in score("--from-file", "-", "-0", "--jsonl", "-", input=listed).stdout.splitlines()
    ]
    assert [row["path"] for row in rows] == ["photos/p1.png", f"photos/{odd.name}"]
    assert all(row["score"] for row in rows)
    refused = score("--from-file", "-", input=listed)
    assert refused.exit_code == 2
    assert "add -0" in refused.stderr


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT to send there")
@pytest.mark.parametrize("ending", ["Ctrl-C", "head -1"])
def test_ended_early_by_the_user_or_the_next_in_the_pipe(
    photos: Path, tiny_model: Path, ending: str
) -> None:
    names = [f"photos/p{n % 3}.png" for n in range(400)]
    Path("list.txt").write_text("\n".join(names))
    command = [sys.executable, "-m", "shamisa_cli", "score", "--from-file", "list.txt"]
    command += ["--model", str(tiny_model), "--device", "cpu", "--quiet"]
    process = subprocess.Popen(
        [*command, "--csv", "-", "--jsonl", "o.jsonl"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("path,score")
    assert process.stdout.readline().startswith("photos/p0.png"), "rows come as they are made"
    if ending == "Ctrl-C":
        process.send_signal(signal.SIGINT)
        says, code = "stopped by Ctrl-C", 128 + signal.SIGINT
        process.stdout.read()
    else:
        says, code = "Error: standard output was closed; stopped", 128 + signal.SIGPIPE
    process.stdout.close()
    assert process.wait(60) == code
    assert process.stderr is not None
    with process.stderr as messages:
        kept, last = messages.read().splitlines()
    assert kept == "stopped; finished rows are kept, go on with --resume"
    assert last == says
    assert 0 < len(read_rows(Path("o.jsonl"), "jsonl")) < len(names)


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL there")
def test_killed_at_any_moment_and_gone_on_with(photos: Path, tiny_model: Path, score) -> None:
    names = [f"photos/p{n % 3}.png" for n in range(40)]
    Path("list.txt").write_text("\n".join(names))
    command = [sys.executable, "-m", "shamisa_cli", "score", "--from-file", "list.txt"]
    command += ["--model", str(tiny_model), "--device", "cpu", "--precision", "fp32"]
    process = subprocess.Popen([*command, "--csv", "o.csv", "--json", "o.json"])
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if Path("o.csv").exists() and Path("o.csv").read_bytes().count(b"\n") > 8:
            break
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert Path(".o.csv.lock").exists()  # which keeps nobody out
    left = table("o.csv")
    assert 8 <= len(left) < 40, "killed too early or too late to show anything"
    assert all(len(row) == len(COLUMNS) and row["score"] for row in left)
    assert abs(len(json.loads(Path("o.json").read_text())) - len(left)) <= 1

    random.Random(0).shuffle(names)
    Path("list.txt").write_text("\n".join(names))
    result = score("--from-file", "list.txt", "--csv", "o.csv", "--json", "o.json", "--resume")
    assert result.exit_code == 0
    rows = table("o.csv")
    assert rows[: len(left)] == left
    assert sorted(row["path"] for row in rows) == sorted(names)
    assert len({(row["path"], row["score"]) for row in rows}) == 3
    assert len(json.loads(Path("o.json").read_text())) == 40
    assert not list(Path().glob(".*.lock"))


def scores(path: str) -> dict[str, str]:
    return {row["path"]: row["score"] for row in table(path)}


def test_a_photo_that_was_replaced_is_scored_again(photos: Path, score) -> None:
    (photos / "p3.png").unlink()
    score("photos", "--csv", "o.csv", "--json", "o.json")
    before = scores("o.csv")
    (photos / "p1.png").write_bytes((photos / "p4.png").read_bytes())
    (photos / "p0.png").rename("gone.png")
    result = score("photos/p0.png", "photos", "--csv", "o.csv", "--json", "o.json", "--resume")
    assert "replaced since, scored again: photos/p1.png (1)" in result.stderr
    assert "1 scored, 0 failed, 4 already there" in result.stderr
    after = scores("o.csv")
    assert after == {**before, "photos/p1.png": before["photos/p4.png"]} != before
    assert read_rows(Path("o.json"), "json") == read_rows(Path("o.csv"), "csv")
    again = score("./photos", str(photos), "--csv", "o.csv", "--resume")
    assert again.exit_code == 0
    assert "0 scored, 0 failed, 5 already there" in again.stderr  # asked for by two names
    assert "photos/s" not in again.stderr  # no pace where nothing was scored
    assert score("./photos", "--csv", "o.csv", "--resume").exit_code == 0
    assert len(table("o.csv")) == 5
    assert score("photos/p1.png", "./photos/p1.png", "--csv", "two.csv").exit_code == 0
    assert len(table("two.csv")) == 1


def test_check_content_compares_what_size_and_time_cannot(photos: Path, score) -> None:
    (photos / "p3.png").unlink()
    one, other = photos / "p1.png", photos / "p4.png"
    size = max(one.stat().st_size, other.stat().st_size)
    for photo in (one, other):  # zeros after its end do no harm to a PNG
        photo.write_bytes(photo.read_bytes().ljust(size, b"\0"))
    score("photos", "--csv", "plain.csv")
    score("photos", "--csv", "o.csv", "--check-content")
    before = scores("o.csv")
    assert before == scores("plain.csv")
    then = one.stat()
    one.write_bytes(other.read_bytes())
    os.utime(one, ns=(then.st_atime_ns, then.st_mtime_ns))
    os.utime(other, (0, 0))
    result = score("photos", "--csv", "o.csv", "--resume", "--check-content")
    assert "scored again: photos/p1.png (1)" in result.stderr
    assert scores("o.csv")["photos/p1.png"] == before["photos/p4.png"]
    assert (
        "scored again: photos/p4.png (1)"
        in score("photos", "--csv", "plain.csv", "--resume").stderr
    )
    refused = score("photos", "--csv", "plain.csv", "--resume", "--check-content")
    assert refused.exit_code == 2
    assert "--check-content has nothing to compare" in refused.stderr
    assert scores("plain.csv") == before
    assert score("photos", "--check-content").exit_code == 2


def test_rows_without_a_record_of_their_photos_stay_and_that_is_told(photos: Path, score) -> None:
    score("photos", "--csv", "o.csv")
    Path("o.csv").rename("moved.csv")
    result = score("photos", "--csv", "moved.csv", "--resume")
    assert "5 rows stay unchecked" in result.stderr
    assert "5 already there" in result.stderr
    os.utime(photos / "p1.png", (0, 0))
    result = score("photos", "--csv", "moved.csv", "--resume")
    assert "unchecked" not in result.stderr
    assert "scored again: photos/p1.png (1)" in result.stderr


def test_an_earlier_run_is_kept_until_asked(photos: Path, score) -> None:
    score("photos", "--csv", "o.csv")
    before = Path("o.csv").read_bytes()
    refused = score("photos/p0.png", "--csv", "o.csv")
    assert refused.exit_code == 2
    for word in ("o.csv: holds 6 rows of an earlier run", "--resume", "--overwrite"):
        assert word in refused.stderr
    both = score("photos/p0.png", "--csv", "o.csv", "--resume", "--overwrite")
    assert both.exit_code == 2
    assert "give one of them" in both.stderr
    assert Path("o.csv").read_bytes() == before
    assert score("photos/p0.png", "--csv", "o.csv", "--overwrite").exit_code == 0
    assert [row["path"] for row in table("o.csv")] == ["photos/p0.png"]


def test_the_second_of_two_runs_on_a_file_is_refused(photos: Path, score) -> None:
    score("photos/p0.png", "--csv", "o.csv")
    before = Path("o.csv").read_bytes()
    Path("link.csv").symlink_to("o.csv")
    with locked(Path("o.csv")):
        for name in ("o.csv", "photos/../o.csv", "link.csv"):
            for option in ("--resume", "--overwrite"):
                refused = score("photos", "--csv", name, option)
                assert refused.exit_code == 2
                assert f"{name}: another run is writing this file" in refused.stderr
        assert score("photos/p0.png", "--jsonl", "other.jsonl").exit_code == 0
    assert Path("o.csv").read_bytes() == before
    assert score("photos/p0.png", "--csv", "link.csv", "--resume").exit_code == 0
    assert Path("link.csv").is_symlink()


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ([], "no photos given"),
        (["empty"], "empty: no photos in this folder"),
        (["photos", "--resume"], "--resume needs the file to go on with"),
        (["photos", "--csv", "o.csv", "--json", "o.csv"], "need a file each"),
        (["photos", "--csv", "-", "--jsonl", "/dev/stdout"], "need a file each"),
        (["photos", "--csv", "-", "--resume"], "rows on standard output are not kept"),
        (["photos", "-0"], "--null is for a list of paths"),
        (["photos", "--csv", os.devnull], "is no ordinary file"),
        (["photos", "--csv", "/dev/stderr"], "is no ordinary file"),
        (["photos", "--csv", "nowhere/o.csv"], "there is no folder nowhere"),
        (["photos", "--csv", "photos/p0.png"], "is no CSV file of this shamisa score"),
        (["photos", "--native", "--max-side", "9"], "--max-side and --native exclude each other"),
        (["photos", "--native", "--crops", "five"], "leave --crops out"),
        (["photos", "--head", "toys"], "Did you mean toy"),
        (["photos", "--device", "tpu"], "expected auto, cpu, cuda or mps"),
        (["photos", "--device", "native"], "unknown device 'native'"),
        (["photos", "--batch-size", "0"], "0 is not in the range"),
        (["photos", "--from-file", "none.txt"], "No such file"),
        (["photos", "--cvs", "o.csv"], "--csv"),
        (["photos", "--model", "fats"], "unknown model 'fats'"),
    ],
)
def test_wrong_usage_is_explained(
    photos: Path, tiny_model: Path, args: list[str], says: str
) -> None:
    Path("empty").mkdir()
    before = (photos / "p0.png").read_bytes()
    result = CliRunner().invoke(app, ["score", "--model", str(tiny_model), *args])
    assert result.exit_code == 2
    assert says in result.stderr
    assert "Traceback" not in result.output
    assert (photos / "p0.png").read_bytes() == before
