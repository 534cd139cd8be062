"""PATHS: files, folders, patterns and lists."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from shamisa_cli.scoring.inputs import expand_paths, read_list


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a few files; only their names matter."""
    monkeypatch.chdir(tmp_path)
    for name in (
        "pics/img10.jpg",
        "pics/img2.JPG",
        "pics/sub 1/b.png",
        "pics/notes.txt",
        "pics/.hidden.jpg",
        "pics/.thumbs/c.jpg",
        "weird[1].jpg",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def expanded(*paths: str, recursive: bool = True) -> list[str]:
    return [path.replace(os.sep, "/") for path in expand_paths(paths, recursive=recursive)]


@pytest.mark.parametrize("given", ["pics", "./pics", "pics/"])
def test_a_folder_in_natural_order_written_as_given(here: Path, given: str) -> None:
    start = given.rstrip("/")
    assert expanded(given) == [f"{start}/{n}" for n in ("img2.JPG", "img10.jpg", "sub 1/b.png")]
    assert expanded(given, recursive=False) == [f"{start}/{n}" for n in ("img2.JPG", "img10.jpg")]
    assert expanded(str(here / "pics"))[0] == f"{here.as_posix()}/pics/img2.JPG"


def test_patterns_that_the_shell_left_alone(here: Path) -> None:
    assert expanded("pics/*.jpg") == ["pics/img10.jpg"]
    assert expanded("**/*.png") == ["pics/sub 1/b.png"]
    assert expanded("pi?s") == ["pics/img2.JPG", "pics/img10.jpg", "pics/sub 1/b.png"]
    assert expanded("none*.jpg") == ["none*.jpg"]


def test_a_file_whose_name_looks_like_a_pattern(here: Path) -> None:
    assert expanded("weird[1].jpg") == ["weird[1].jpg"]


def test_the_order_given_is_kept_and_so_are_repetitions(here: Path) -> None:
    given = ["z.jpg", "a.jpg", "pics/img10.jpg", "a.jpg"]
    assert expanded(*given) == given


def test_a_file_that_is_named_is_taken_whatever_its_ending(here: Path) -> None:
    assert expanded("pics/notes.txt", "pics/.hidden.jpg") == ["pics/notes.txt", "pics/.hidden.jpg"]


def test_lists() -> None:
    assert read_list(io.StringIO("a.jpg\r\n\n b c.jpg \nd.jpg")) == ["a.jpg", " b c.jpg ", "d.jpg"]


@pytest.mark.parametrize("pattern", ["pics/**", "pics/**/*", "./pics/**", "p*/**"])
def test_a_recursive_pattern_is_as_its_folder_with_every_photo_once(
    here: Path, pattern: str
) -> None:
    start = "./pics" if pattern.startswith(".") else "pics"
    found = expanded(pattern)
    assert sorted(found) == sorted(expanded(start))
    assert expanded("pics/**", "pics/notes.txt", "pics/**") == [
        *expanded("pics"),
        "pics/notes.txt",
        *expanded("pics"),
    ]


def test_a_file_is_taken_once_however_many_links_lead_to_its_folder(here: Path) -> None:
    (here / "pics" / "again").symlink_to(here / "pics", target_is_directory=True)
    found = expanded("pics/**")
    assert sorted(map(os.path.basename, found)) == ["b.png", "img10.jpg", "img2.JPG"]


def test_a_pattern_may_ask_for_another_ending(here: Path) -> None:
    assert expanded("**/*.txt") == ["pics/notes.txt"]
    assert expanded("pics/n*") == ["pics/notes.txt"]
    assert expanded("**/n*") == []
