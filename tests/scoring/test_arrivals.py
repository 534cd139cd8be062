"""When a photo that comes into a folder is whole; by a clock that the tests set."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from shamisa_cli.errors import ShamisaError
from shamisa_cli.scoring.arrivals import PATIENCE, Arrivals

STEADY = 2.0


class Folder:
    def __init__(self, path: Path, *, recursive: bool = True) -> None:
        self.path, self.now = path, 0.0
        path.mkdir()
        self._arrivals = Arrivals(path, recursive=recursive, steady=STEADY, clock=lambda: self.now)
        self.settle, self.try_again = self._arrivals.settle, self._arrivals.try_again
        self.pause = self._arrivals.pause

    def put(self, name: str, size: int) -> str:
        (self.path / name).parent.mkdir(exist_ok=True)
        (self.path / name).write_bytes(bytes(size))
        return str(self.path / name)

    def after(self, seconds: float) -> list[str]:
        self.now += seconds
        self._arrivals.look()
        return [str(Path(path).relative_to(self.path)) for path in self._arrivals.ready()]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "in")


def test_a_file_is_ready_when_it_no_longer_changes(folder: Folder) -> None:
    photo = folder.put("a.jpg", 10)
    assert folder.pause() is None
    assert folder.after(0) == []
    assert folder.pause() == STEADY
    assert folder.after(STEADY - 0.1) == []
    folder.put("a.jpg", 20)
    assert folder.after(0.1) == []
    assert folder.after(STEADY - 0.1) == []
    assert folder.after(0.1) == ["a.jpg"]
    folder.settle(photo)
    assert folder.after(100) == []
    assert folder.pause() is None
    folder.put("a.jpg", 30)  # it is replaced
    assert folder.after(0) == []
    assert folder.after(STEADY) == ["a.jpg"]


def test_what_cannot_be_decoded_is_given_time(folder: Folder) -> None:
    photo = folder.put("a.jpg", 10)
    folder.after(0)
    tries = 0
    while True:
        assert folder.after(STEADY) == ["a.jpg"]
        tries += 1
        if not folder.try_again(photo):
            break
        assert folder.after(0) == []
    assert tries == PATIENCE
    folder.put("a.jpg", 20)
    assert folder.after(0) == []
    assert folder.after(STEADY) == ["a.jpg"]
    assert folder.try_again(photo)  # the time begins anew
    Path(photo).unlink()
    assert folder.after(0) == []
    assert folder.try_again(photo)  # no row for what is gone


def test_what_comes_back_as_it_was_stays_settled(folder: Folder, tmp_path: Path) -> None:
    settled = [folder.put(name, 10) for name in ("a.jpg", "sub/b.jpg", "sub/c.jpg")]
    folder.put("sub/new.jpg", 10)
    folder.after(0)
    folder.after(STEADY)
    for photo in settled:
        folder.settle(photo)
    (folder.path / "a.jpg").rename(tmp_path / "a.jpg")
    (folder.path / "sub").rename(tmp_path / "sub")  # as if it cannot be listed
    assert folder.after(1) == []
    assert folder.after(1) == []
    (tmp_path / "a.jpg").rename(folder.path / "a.jpg")
    (tmp_path / "sub").rename(folder.path / "sub")
    folder.put("sub/c.jpg", 30)  # it is another
    assert folder.after(0) == []  # what was not settled must be steady again
    assert folder.after(STEADY) == ["sub/c.jpg", "sub/new.jpg"]
    assert folder.after(100) == ["sub/c.jpg", "sub/new.jpg"]


def test_names_that_are_no_photos_yet(folder: Folder) -> None:
    folder.put("a.jpg.part", 10)
    folder.put(".b.jpg.x7", 10)
    folder.put("sub/c.jpg", 10)
    assert folder.after(0) == []
    assert folder.after(STEADY) == ["sub/c.jpg"]
    (folder.path / "a.jpg.part").rename(folder.path / "a.jpg")
    assert folder.after(0) == ["sub/c.jpg"]
    assert folder.after(STEADY) == ["a.jpg", "sub/c.jpg"]


def test_sub_folders_only_if_asked(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "in", recursive=False)
    folder.put("sub/c.jpg", 10)
    folder.after(0)
    assert folder.after(STEADY) == []


def test_a_folder_that_vanishes_is_told(folder: Folder) -> None:
    folder.put("a.jpg", 10)
    folder.after(0)
    shutil.rmtree(folder.path)
    with pytest.raises(ShamisaError, match=r"in: this folder is not there any more"):
        folder.after(1)
