"""Photos of a folder tree, in natural order."""

from __future__ import annotations

import os
from pathlib import Path, PurePath
from typing import Any

import pytest
from PIL import Image

from shamisa_cli.errors import PhotoError, ShamisaError
from shamisa_cli.imaging.folders import find_photos, list_photos, natural_key


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def names(folder: Path, **options: bool) -> list[str]:
    return [p.relative_to(folder).as_posix() for p in list_photos(folder, **options)]


def test_natural_order_of_a_tree(tmp_path: Path) -> None:
    touch(tmp_path, "img10.jpg", "img2.JPG", "b/1.png", "a/IMG3.webp", "a/img1.tif")
    assert names(tmp_path) == ["a/img1.tif", "a/IMG3.webp", "b/1.png", "img2.JPG", "img10.jpg"]
    assert names(tmp_path, recursive=False) == ["img2.JPG", "img10.jpg"]


def test_leaves_out_what_is_hidden_or_no_photo(tmp_path: Path) -> None:
    touch(tmp_path, ".hidden.jpg", ".cache/x.jpg", "notes.txt", "scores.csv", "seen.jpeg")
    assert names(tmp_path) == ["seen.jpeg"]


def test_a_link_in_a_circle_ends(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.jpg")
    (tmp_path / "a" / "again").symlink_to(tmp_path, target_is_directory=True)
    assert names(tmp_path) == ["a/1.jpg"]


def test_names_without_numbers_sort_too() -> None:
    mixed = ["b", "1", "a10", "a9", "a", "A2"]
    assert sorted(mixed, key=natural_key) == ["1", "a", "A2", "a9", "a10", "b"]


def test_found_photos_are_named_below_what_was_given(tmp_path: Path) -> None:
    touch(tmp_path, "set/x/1.jpg", "set/2.jpg", "single.png")
    found = find_photos([tmp_path / "set", tmp_path / "single.png"])
    assert [name for _, name in found] == [
        PurePath("2.jpg"),
        PurePath("x/1.jpg"),
        PurePath("single.png"),
    ]
    assert found[1][0] == tmp_path / "set" / "x" / "1.jpg"


def test_refuses_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ShamisaError, match=r"absent\.jpg: no such file or folder"):
        find_photos([tmp_path / "absent.jpg"])
    with pytest.raises(ShamisaError, match="no photos there"):
        find_photos([tmp_path])
    Image.new("RGB", (4, 4)).save(tmp_path / "p.png")
    with pytest.raises(ShamisaError, match="is a file, not a folder"):
        list_photos(tmp_path / "p.png")


def test_what_lies_below_a_folder_that_may_not_be_entered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, **_: Any) -> os.stat_result:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "stat", refuse)
    for listing in (list_photos, lambda folder: find_photos([folder])):
        with pytest.raises(PhotoError, match=r"below: cannot be reached \(Permission denied\)"):
            listing(tmp_path / "below")
