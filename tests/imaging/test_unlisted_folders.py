"""Folders that cannot be listed (permissions, a bad disk) are never left out without a word."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from click.testing import CliRunner
from PIL import Image

import shamisa_cli
from shamisa_cli.cli import app
from shamisa_cli.errors import PhotoError
from shamisa_cli.imaging.decode import decode
from shamisa_cli.imaging.folders import find_photos, list_photos
from shamisa_cli.imaging.pool import PhotoPool
from shamisa_cli.maps.points import photo_points
from shamisa_cli.scoring.inputs import expand_paths

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


@pytest.mark.parametrize("listing", [list_photos, PhotoPool, lambda folder: find_photos([folder])])
def test_who_needs_all_photos_is_told(tree: Path, listing: Callable[[Path], object]) -> None:
    for folder in (tree, tree / "b"):
        with pytest.raises(PhotoError, match=SAYS):
            listing(folder)


def test_the_others_are_there_for_those_who_ask(tree: Path) -> None:
    unlisted: list[Path] = []
    photos = list_photos(tree, unlisted=unlisted.append)
    assert photos == [tree / "a" / "photo.png", tree / "c" / "photo.png"]
    assert unlisted == [tree / "b"]
    assert list_photos(tree, recursive=False) == []


def test_what_is_said_of_a_folder_in_the_place_of_a_photo(tree: Path) -> None:
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
    assert rows[1].path == str(tree / "b")
    assert rows[1].error == (
        "this folder cannot be listed (Permission denied); check its permissions"
    )


def test_distort_stops_before_its_first_copy(tree: Path) -> None:
    result = CliRunner().invoke(app, ["distort", ".", "--out", "out"])
    assert result.exit_code == 1
    assert "b: this folder cannot be listed" in result.output
    assert not (tree / "out").exists()


def test_a_map_stops_before_photos_are_drawn(tree: Path) -> None:
    photos = [Path(path) for path in expand_paths(["."])]
    with pytest.raises(PhotoError, match=SAYS):
        photo_points(cast(Any, None), photos, pytest.fail, sample=1, seed=0)
