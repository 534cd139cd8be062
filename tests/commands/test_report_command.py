"""``shamisa report``, and ``shamisa score --report``, as a user meets them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from shamisa_cli.cli import app

Run = Callable[..., Result]


@pytest.fixture
def photos(
    tmp_path: Path, sample_photos: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A folder ``photos`` with four small ones, the last damaged; we stand beside it."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for n in range(4):
        sample_photos[n % 2].resize((120 + n, 90)).save(folder / f"p{n}.png")
    damaged = folder / "p3.png"
    damaged.write_bytes(damaged.read_bytes()[:2000])
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def score(tiny_model: Path) -> Run:
    def run(*args: str) -> Result:
        fixed = ["--model", str(tiny_model), "--device", "cpu", "--precision", "fp32"]
        return CliRunner().invoke(app, ["score", *args, *fixed])

    return run


def report(*args: str) -> Result:
    return CliRunner().invoke(app, ["report", *args])


def shown(page: str) -> list[dict[str, Any]]:
    text = Path(page).read_text(encoding="utf-8")
    found = re.search(r'<script id="data" type="application/json">(.*?)</script>', text, re.DOTALL)
    assert found
    data = json.loads(found[1])
    return [dict(zip(data["columns"], row, strict=True)) for row in data["rows"]]


def test_score_and_look(photos: Path, score: Run) -> None:
    result = score("photos", "--report", "report.html")
    assert result.exit_code == 1  # one is damaged
    assert result.stdout == ""
    assert result.stderr.endswith("report of 4 photos in report.html\n")
    rows = shown("report.html")
    assert [row["path"] for row in rows] == [f"photos/p{n}.png" for n in range(4)]
    assert [bool(row["thumb"]) for row in rows] == [True, True, True, False]
    assert [row["file"] for row in rows] == [row["path"] for row in rows]
    assert "truncated" in rows[3]["error"]


def test_the_same_from_rows(photos: Path, score: Run, tmp_path: Path) -> None:
    assert score("photos", "--report", "a.html", "--csv", "rows.csv").exit_code == 1
    result = report("rows.csv", "--out", "b.html")
    assert result.exit_code == 0
    assert shown("b.html") == shown("a.html")
    photos.rename(tmp_path / "elsewhere")
    assert "3 without a picture" in report("rows.csv", "--out", "c.html").stderr
    assert [row["gone"] for row in shown("c.html")] == ["the photo is gone"] * 4


def test_photos_are_found_from_the_folder_of_the_rows(
    photos: Path, score: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    score("photos", "--jsonl", "rows.jsonl")
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    assert report("../rows.jsonl").exit_code == 0
    assert [row["file"] for row in shown("report.html")][:2] == [
        "../photos/p0.png",
        "../photos/p1.png",
    ]


def test_nothing_is_replaced_unasked(photos: Path, score: Run) -> None:
    score("photos", "--csv", "rows.csv")
    page = Path("report.html")
    page.write_text("<p>mine")
    for run in (report, score):
        what = ("rows.csv", "--out") if run is report else ("photos", "--report")
        refused = run(*what, "report.html", "--overwrite")
        assert refused.exit_code == 2
        assert (
            "report.html: is there, and nothing in it says that shamisa made it" in refused.stderr
        )
    assert page.read_text() == "<p>mine"
    page.unlink()
    assert report("rows.csv").exit_code == 0
    made = page.read_bytes()
    for refused in (report("rows.csv"), score("photos", "--report", "report.html")):
        assert refused.exit_code == 2
        assert "replace it with --overwrite" in refused.stderr
    assert page.read_bytes() == made
    assert report("rows.csv", "--overwrite").exit_code == 0
    folder = Path("report_files")
    folder.mkdir()
    (folder / "mine.txt").touch()
    refused = report("rows.csv", "--overwrite")
    assert refused.exit_code == 2
    assert "report_files: is there, and holds 'mine.txt'" in refused.stderr


def test_a_run_that_goes_on_shows_all(photos: Path, score: Run) -> None:
    score("photos/p0.png", "--csv", "rows.csv", "--report", "report.html")
    assert len(shown("report.html")) == 1
    score("photos", "--csv", "rows.csv", "--report", "report.html", "--resume")
    assert [row["path"] for row in shown("report.html")] == [f"photos/p{n}.png" for n in range(4)]


def test_limits(photos: Path, score: Run) -> None:
    """They limit the report; failed photos stay in it, and files of rows hold all."""
    limited = ["--report", "a.html", "--csv", "rows.csv", "--top", "2"]
    assert score("photos", *limited).stdout == ""
    found = shown("a.html")
    assert [row["status"] for row in found if row["score"] is None] == ["failed"]
    assert report("rows.csv", "--out", "all.html").exit_code == 0
    best = sorted((row["score"] for row in shown("all.html") if row["score"]), reverse=True)
    assert [row["score"] for row in found if row["score"]] == best[:2]
    assert report("rows.csv", "--out", "b.html", "--top", "2").exit_code == 0
    assert shown("b.html") == found


def test_a_run_that_is_stopped_writes_no_report(
    photos: Path, score: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("shamisa_cli.commands.sinks.Kept.write", stop)
    assert score("photos", "--report", "report.html").exit_code == 130
    assert sorted(path.name for path in Path().iterdir()) == ["photos"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["photos", "--out", "r.html"], "is a directory"),
        (["none.csv"], "none.csv: cannot be read: No such file"),
        (["photos/p0.png"], "p0.png: no rows that can be read"),
        (
            ["rows.csv", "--out", "rows.csv"],
            "a report is a page; give it a name that ends in .html",
        ),
        (["rows.csv", "--out", "-"], "ends in .html"),
        (["rows.csv", "--out", "no/r.html"], "no/r.html: there is no folder no"),
        ([], "Missing argument 'ROWS'"),
    ],
)
def test_wrong_arguments(photos: Path, score: Run, arguments: list[str], said: str) -> None:
    Path("rows.csv").write_text("path,score,status\nphotos/p0.png,5,ok\n")
    result = report(*arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert Path("rows.csv").read_text().startswith("path,score")
    assert not list(Path().glob("*.html"))


def test_score_refuses_a_report_before_it_works(photos: Path) -> None:
    wrong = ["score", "photos", "--report", "report.csv", "--model", "no/such/model"]
    result = CliRunner().invoke(app, wrong)
    assert result.exit_code == 2
    assert "report.csv: a report is a page" in result.stderr
