"""Files are put in place whole, never over another, and a kill at any line is made good again."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from kills import CONTENT, contents, make_photos, plan_and_do, without_hard_links

from shamisa_cli.culling import journal
from shamisa_cli.culling.files import How, Place, finish_move, look, put, unfinished
from shamisa_cli.culling.journal import carry_out, journals, read_journal, undo, write_journal
from shamisa_cli.culling.plan import Transfer
from shamisa_cli.errors import ShamisaError


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    make_photos(folder)
    for name in CONTENT:
        os.utime(folder / name, (1_000_000_000, 1_100_000_000))
    return folder


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on Windows")
@pytest.mark.parametrize(
    ("how", "links"),
    [
        ("link", "hard"),
        ("copy", "hard"),
        ("copy", "none"),
        ("move", "hard"),
        ("move", "none"),
        ("move", "disks"),
        ("undo", "hard"),
        ("undo", "disks"),
    ],
)
def test_killed_anywhere_and_run_again(how: str, links: str) -> None:
    """At every fifth line; the script kills at every one if it is run alone."""
    script = Path(__file__).with_name("kills.py")
    ran = subprocess.run(
        [sys.executable, script, how, links, "5"], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) > (15 if how == "link" else 60), "killed at so many lines"


@pytest.mark.parametrize("how", ["link", "copy", "move"])
@pytest.mark.parametrize("links", ["hard links", "none"])
def test_nothing_is_overwritten(
    photos: Path, tmp_path: Path, how: How, links: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if links == "none":
        monkeypatch.setattr(os, "link", os.link)  # to be put back
        without_hard_links("none")
    target = tmp_path / "there.jpg"
    target.write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        put(photos / "a.jpg", target, how)
    assert target.read_bytes() == b"mine"
    assert (photos / "a.jpg").read_bytes() == CONTENT["a.jpg"]
    assert {path.name for path in tmp_path.iterdir()} == {"photos", "there.jpg"}


def test_a_copy_keeps_its_times_and_a_long_name(photos: Path, tmp_path: Path) -> None:
    name = "n" * 251 + ".jpg"
    put(photos / "a.jpg", tmp_path / "into" / name, "copy")
    copy = tmp_path / "into" / name
    assert copy.stat().st_mtime == 1_100_000_000
    assert copy.stat().st_ino != (photos / "a.jpg").stat().st_ino
    assert len(unfinished(copy).name) < 40


def test_a_photo_that_may_not_go_is_not_in_two_places(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlink = Path.unlink

    def refused(path: Path, **options: Any) -> None:
        if path == photos / "a.jpg":
            raise PermissionError(errno.EACCES, "Permission denied")
        unlink(path, **options)

    monkeypatch.setattr(Path, "unlink", refused)
    with pytest.raises(PermissionError):
        put(photos / "a.jpg", tmp_path / "a.jpg", "move")
    assert not (tmp_path / "a.jpg").exists()
    assert contents(photos) == CONTENT


def test_a_full_disk_leaves_nothing_half(photos: Path, tmp_path: Path, no_file_over: Any) -> None:
    with no_file_over(1500), pytest.raises(OSError, match="File too large"):
        put(photos / "a.jpg", tmp_path / "into" / "a.jpg", "copy")
    assert list((tmp_path / "into").iterdir()) == []


def test_what_is_at_a_place(photos: Path, tmp_path: Path) -> None:
    source, target = photos / "a.jpg", tmp_path / "a.jpg"
    assert look(source, target, "copy") is Place.FREE
    target.write_bytes(CONTENT["a.jpg"])
    assert look(source, target, "copy") is Place.DONE
    assert look(source, target, "link") is Place.TAKEN
    target.write_bytes(b"x" + CONTENT["a.jpg"][1:])
    assert look(source, target, "copy") is Place.TAKEN
    target.unlink()
    target.symlink_to("nowhere")
    assert [look(source, target, how) for how in ("link", "copy", "move")] == [Place.TAKEN] * 3
    target.unlink()
    put(source, target, "link")
    assert look(source, target, "link") is Place.DONE
    assert look(source, target, "copy") is Place.TAKEN


def test_finishing_a_move_never_deletes_what_is_not_there_twice(photos: Path) -> None:
    target = photos / "other.jpg"
    target.write_bytes(b"other")
    with pytest.raises(FileExistsError):
        finish_move(photos / "a.jpg", target)
    assert (photos / "a.jpg").exists()
    assert target.read_bytes() == b"other"


def test_an_undo_tells_what_is_in_its_way(photos: Path) -> None:
    plan_and_do(photos, "move")
    (photos / "a.jpg").write_bytes(b"new")
    into = photos.parent / "keepers"
    back, left = undo(journals(into)[0], lambda move: None)
    assert back == 1
    assert [(path, "is there and is another file" in why) for path, why in left] == [
        (str(into / "a.jpg"), True)
    ]
    assert (photos / "a.jpg").read_bytes() == b"new"
    assert (into / "a.jpg").read_bytes() == CONTENT["a.jpg"]
    (photos / "a.jpg").unlink()
    assert undo(journals(into)[0], lambda move: None) == (1, [])
    assert contents(photos) == CONTENT
    assert read_journal(next(into.glob("*.jsonl"))).state == "undone"


def test_moves_that_cannot_be_done_are_told(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    into = photos.parent / "keepers"
    moves = [Transfer(str(photos / name), str(into / name)) for name in (*CONTENT, "none.jpg")]
    written = write_journal(into, {"best": "3"}, moves)
    second = write_journal(into, {}, [])
    assert second.path != written.path
    (into / "a.jpg").write_bytes(b"mine")
    left = carry_out(written, lambda move: None)
    assert left[0] == (str(photos / "a.jpg"), f"{into / 'a.jpg'} is there and is another file")
    assert left[1] == (str(photos / "none.jpg"), "it is gone")
    assert (into / "a.jpg").read_bytes() == b"mine"
    assert read_journal(written.path).asked == {"best": "3"}

    def refused(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(journal, "finish_move", refused)
    (into / "sub/b.jpg").rename(photos / "sub/b.jpg")
    with pytest.raises(ShamisaError, match=r"b.jpg: No space left on device; what is done"):
        carry_out(written, lambda move: None)


def test_one_file_by_two_paths_is_never_deleted(photos: Path) -> None:
    """A folder that became a link to the other after the move."""
    plan_and_do(photos, "move")
    into = photos.parent / "keepers"
    (photos / "sub").rmdir()
    photos.rmdir()
    photos.symlink_to(into)
    undo(journals(into)[0], lambda move: None)
    assert contents(into) == CONTENT
    finish_move(photos / "a.jpg", into / "a.jpg")
    assert contents(into) == CONTENT
