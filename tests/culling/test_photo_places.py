"""Which photos are looked at: those outside the folder of keepers, those that rows lead to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shamisa_cli.culling.places import apart, entry, rows_there
from shamisa_cli.scoring.score import Score


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def touch(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(name)


def there(*paths: str, file: str) -> list[str]:
    rows = [Score(path, 50.0, 9, 9, 9, 9, "m", "h") for path in paths]
    return [os.path.normpath(row.path) for row in rows_there(rows, Path(file))]


def test_an_entry_is_the_same_whichever_way_leads_there(here: Path) -> None:
    touch("p/a.jpg")
    Path("q").symlink_to("p")
    Path("p/l.jpg").symlink_to("a.jpg")
    ways = ("p/a.jpg", "q/a.jpg", "./p/../q/a.jpg", str(here / "p/a.jpg"))
    assert len({entry(way) for way in ways}) == 1
    assert entry("p/l.jpg") != entry("p/a.jpg")


def test_photos_in_the_folder_of_keepers_are_told_apart() -> None:
    touch("p/a.jpg", "p/k/b.jpg", "p/kk/c.jpg")
    Path("p/k/a.jpg").symlink_to("../a.jpg")  # of --link
    Path("p/b.jpg").symlink_to("k/b.jpg")
    Path("k").symlink_to("p/k")
    photos = ["p/a.jpg", "p/b.jpg", "p/k/a.jpg", "k/b.jpg", "p/kk/c.jpg"]
    assert apart(photos, Path("k")) == (["p/a.jpg", "p/kk/c.jpg"], photos[1:4])
    assert apart(photos, None) == (photos, [])


def test_photos_are_found_from_here_or_else_beside_their_rows(here: Path) -> None:
    touch("shoot/p/a.jpg", "shoot/p/b.jpg", "full.jpg")
    full = str(here / "full.jpg")
    paths = ("p/a.jpg", "p/b.jpg", "p/gone.jpg", full, "")
    assert there(*paths, file="shoot/r.csv") == ["shoot/p/a.jpg", "shoot/p/b.jpg", full]
    assert there("p/gone.jpg", "", file="shoot/r.csv") == []


def test_photos_of_two_folders_are_not_mixed() -> None:
    touch("shoot/p/a.jpg", "shoot/p/b.jpg", "p/a.jpg")
    assert there("p/a.jpg", "p/b.jpg", file="shoot/r.csv") == ["p/a.jpg"]
