"""Paths of photos: natural order, patterns, and folders that cannot be listed."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from click.testing import CliRunner
from PIL import Image

import shamisa_cli
from shamisa_cli.cli import app
from shamisa_cli.errors import PhotoError, ShamisaError
from shamisa_cli.imaging.decode import decode
from shamisa_cli.imaging.paths import expand_paths, list_photos, natural_key
from shamisa_cli.imaging.pool import PhotoPool
from shamisa_cli.maps.points import photo_points


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a few files; only their names matter."""
    monkeypatch.chdir(tmp_path)
    for name in (
        "pics/img10.jpg",
        "pics/img2.JPG",
        "pics/sub 1/b.png",
        "pics/sub 1/IMG3.webp",
        "pics/notes.txt",
        "pics/.hidden.jpg",
        "pics/.thumbs/c.jpg",
        "weird[1].jpg",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


IN_PICS = ["img2.JPG", "img10.jpg", "sub 1/b.png", "sub 1/IMG3.webp"]


def expanded(*paths: str, recursive: bool = True) -> list[str]:
    return [path.replace(os.sep, "/") for path in expand_paths(paths, recursive=recursive)]


def test_natural_order() -> None:
    mixed = ["b", "1", "a10", "a/2", "a9", "a", "A2", "a/10"]
    expected = ["1", "a", "A2", "a9", "a10", "a/2", "a/10", "b"]
    assert sorted(mixed, key=natural_key) == expected


@pytest.mark.parametrize("given", ["pics", "./pics", "pics/"])
def test_a_folder_in_natural_order_written_as_given(here: Path, given: str) -> None:
    start = given.rstrip("/")
    assert expanded(given) == [f"{start}/{name}" for name in IN_PICS]
    assert expanded(given, recursive=False) == [f"{start}/{name}" for name in IN_PICS[:2]]
    assert list_photos(given) == [Path("pics", name) for name in IN_PICS]
    assert expanded(str(here / "pics"))[0] == f"{here.as_posix()}/pics/img2.JPG"


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (["pics/*.jpg"], ["pics/img10.jpg"]),
        (["**/*.png"], ["pics/sub 1/b.png"]),
        (["pi?s"], [f"pics/{name}" for name in IN_PICS]),
        (["none*.jpg"], ["none*.jpg"]),
        (["weird[1].jpg"], ["weird[1].jpg"]),
        (["**/*.txt"], ["pics/notes.txt"]),
        (["pics/n*"], ["pics/notes.txt"]),
        (["**/n*"], []),
        (["z.jpg", "a.jpg", "pics/img10.jpg", "a.jpg"],) * 2,
        (["pics/notes.txt", "pics/.hidden.jpg"],) * 2,
    ],
)
def test_patterns_and_files_in_the_order_given(
    here: Path, given: list[str], found: list[str]
) -> None:
    assert expanded(*given) == found


@pytest.mark.parametrize("pattern", ["pics/**", "pics/**/*", "./pics/**", "p*/**"])
def test_a_recursive_pattern_is_as_its_folder_with_every_photo_once(
    here: Path, pattern: str
) -> None:
    (here / "pics" / "again").symlink_to(here / "pics", target_is_directory=True)
    found = sorted(map(os.path.basename, expanded(pattern)))
    assert found == ["IMG3.webp", "b.png", "img10.jpg", "img2.JPG"]
    assert expanded("pics") == [f"pics/{name}" for name in IN_PICS]


@pytest.fixture
def elsewhere(here: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a photo, to which a link in pics leads."""
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "far.jpg").touch()
    (here / "pics" / "link").symlink_to(folder, target_is_directory=True)
    return folder


FAR = "pics/link/far.jpg"


@pytest.mark.parametrize("given", ["pics", "pics/**", "./pics/**/*.jpg", "p*/**"])
def test_links_out_of_a_folder_are_followed_only_if_asked(
    here: Path, elsewhere: Path, given: str
) -> None:
    told: set[Path] = set()
    near = list(expand_paths([given], pass_by=told.add))
    assert not any("far" in path for path in near)
    assert [path.as_posix() for path in told if path.is_dir()] == ["pics/link"]
    found = [os.path.normpath(path) for path in expand_paths([given], follow_links=True)]
    assert found.count(FAR) == 1
    assert {os.path.normpath(path) for path in near} == {*found} - {FAR}


def test_what_is_named_is_followed(here: Path, elsewhere: Path) -> None:
    for given in ("pics/link", "pics/link/", "pics/link/*.jpg", "pics/link/**", FAR):
        assert [os.path.normpath(path) for path in expand_paths([given])] == [FAR]
    (here / "alias").symlink_to(here / "pics")
    assert expanded("alias/**/*.png") == ["alias/sub 1/b.png"]
    (here / "pics" / "alias").symlink_to(here / "pics" / ".thumbs")  # in the tree, but hidden there
    assert "pics/alias/c.jpg" in expanded("pics")
    assert len(PhotoPool(here / "pics", follow_links=True)) == len(PhotoPool(here / "pics")) + 1


def test_what_is_passed_by_is_told(here: Path) -> None:
    for given in ("pics", "pics/**", "**/*.*g"):
        told: set[Path] = set()
        assert list(expand_paths([given], pass_by=told.add))
        assert [path.name for path in told] == ([] if "*g" in given else ["notes.txt"])


def test_refuses_what_is_no_folder(here: Path) -> None:
    with pytest.raises(ShamisaError, match="no such folder"):
        list_photos(here / "absent")
    with pytest.raises(ShamisaError, match="is a file, not a folder"):
        list_photos(here / "weird[1].jpg")


SAYS = r"b: this folder cannot be listed \(Permission denied\); check its permissions"


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folders a, b and c with a photo each; b cannot be listed, not even by root."""
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        Image.radial_gradient("L").save(tmp_path / name / "photo.png")
    scandir = os.scandir

    def refuse_b(path: Any = ".") -> Any:
        if isinstance(path, (str, Path)) and Path(path).absolute() == tmp_path / "b":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse_b)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("listing", [list_photos, PhotoPool])
def test_who_needs_all_photos_is_told(tree: Path, listing: Callable[[Path], object]) -> None:
    for folder in (tree, tree / "b"):
        with pytest.raises(PhotoError, match=SAYS):
            listing(folder)
    assert list_photos(tree, recursive=False) == []


def test_a_folder_in_the_place_of_a_photo(tree: Path) -> None:
    with pytest.raises(PhotoError, match=SAYS):
        decode(tree / "b")
    with pytest.raises(PhotoError, match="a: is a folder, not a photo"):
        decode(tree / "a")


@pytest.mark.parametrize("given", [".", "**", "**/*.png", "*/*.png", "*"])
def test_among_paths_it_stands_for_itself(tree: Path, given: str) -> None:
    found = [Path(path) for path in expand_paths([given])]
    assert found == [Path("a/photo.png"), Path("b"), Path("c/photo.png")]


@pytest.mark.parametrize("given", ["b", "b/", "./b"])
def test_it_is_written_as_it_was_given(tree: Path, given: str) -> None:
    assert list(expand_paths([given])) == [given]
    assert list(expand_paths([f"{given.rstrip('/')}/*.png"])) == [given.rstrip("/")]


def test_scoring_goes_on(tree: Path, tiny_model: Path) -> None:
    scorer = shamisa_cli.load(str(tiny_model), device="cpu")
    rows = list(scorer.score_many(expand_paths([str(tree)])))
    assert [row.failed for row in rows] == [False, True, False]
    assert re.match(SAYS, f"{Path(rows[1].path).name}: {rows[1].error}")


def test_sets_and_maps_stop_before_they_start(tree: Path) -> None:
    result = CliRunner().invoke(app, ["distort", ".", "--out", "out"])
    assert result.exit_code == 1
    assert "b: this folder cannot be listed" in result.output
    assert not (tree / "out").exists()
    photos = [Path(path) for path in expand_paths(["."])]
    with pytest.raises(PhotoError, match=SAYS):
        photo_points(cast(Any, None), photos, pytest.fail, sample=1, seed=0)
