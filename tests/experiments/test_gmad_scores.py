"""Who competes: models side by side over one stream, heads of one model, tables of scores."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
from PIL import Image

from shamisa_cli.errors import PhotoError, UsageError
from shamisa_cli.experiments.gmad_pool import FolderPool, Picture, open_pool
from shamisa_cli.experiments.gmad_scores import (
    Model,
    Table,
    in_tables,
    read_table,
    score_pool,
)
from shamisa_cli.scoring.score import FAILED, Score
from shamisa_cli.scoring.scorer import Scorer


@pytest.fixture
def folder(tmp_path: Path, sample_photos: list[Image.Image]) -> Path:
    """Four pictures, and a file between them that is none."""
    pool = tmp_path / "pool"
    pool.mkdir()
    for n in range(4):
        sample_photos[n % 2].rotate(90 * n).resize((150, 130)).save(pool / f"{n}.png")
    (pool / "1b.png").write_bytes(b"no picture")
    return pool


@dataclass
class Fake:
    """A scorer that works some pictures ahead, and fails on multiples of ``fails``."""

    ahead: int
    fails: int
    extractor: object

    def score_many(self, photos: Iterable[Any]) -> Iterator[Score]:
        waiting = []
        for photo in photos:
            waiting.append(photo)
            if len(waiting) > self.ahead:
                yield self._score(waiting.pop(0))
        yield from map(self._score, waiting)

    def _score(self, photo: Path) -> Score:
        number = int(photo.stem)
        if number and number % self.fails == 0:
            return Score(str(photo), *(None,) * 5, "fake", "mine", FAILED, "out of luck")
        return Score(str(photo), float(number), 1, 1, 1, 1, "fake", "mine")


def fake(ahead: int, fails: int) -> Model:
    return Model("fake", cast(Scorer, Fake(ahead, fails, object())))


def test_the_stream_is_read_as_far_as_the_slower_needs_it() -> None:
    read, steps, most = 0, 0, 0
    pictures = tuple(Picture(Path(f"{n}.png")) for n in range(60))

    class Watched(FolderPool):
        def stream(self, skip: Any) -> Iterator[tuple[Picture, Path]]:
            nonlocal read
            for read, picture in enumerate(self.pictures, 1):  # noqa: B007
                yield picture, picture.path

    def step() -> None:
        nonlocal steps, most
        steps += 1
        most = max(most, read - steps)

    skipped: list[PhotoError] = []
    scored = score_pool(Watched(pictures), (fake(2, 20), fake(5, 30)), skipped.append, step)
    assert steps == 60
    assert most <= 5
    assert scored.first.tolist() == scored.second.tolist()
    assert [int(each.path.stem) for each in scored.pictures] == scored.first.tolist()
    assert [str(error) for error in skipped] == [f"{n}.png: out of luck" for n in (20, 30, 40)]


def test_a_table_is_of_pictures_in_the_pool(folder: Path, tmp_path: Path) -> None:
    pool = open_pool(folder)
    table = tmp_path / "theirs.csv"
    lines = [f"{folder / '0.png'},3", "1.png,0.5", "pool/3.png,-1", "nowhere.png,7", "2.png,"]
    table.write_text("\n".join(["path,score", *lines]) + "\n")
    read = read_table(table, folder, pool)
    assert read.name == "theirs"
    assert {path.name: score for path, score in read.scores.items()} == {
        "0.png": 3.0,
        "1.png": 0.5,
        "3.png": -1.0,
    }
    some = in_tables(pool, [read, Table("few", {folder / "3.png": 1.0, folder / "1.png": 2.0})])
    assert [picture.path.name for picture in some.pictures] == ["1.png", "3.png"]
    scored = score_pool(some, (read, fake(1, 9)), print)
    assert (scored.first.tolist(), scored.second.tolist()) == ([0.5, -1.0], [1.0, 3.0])


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["path,score", "x.png,1"], "none of its paths is a picture in .*such as 0.png"),
        (["path,score", "1.png,1", "{folder}/1.png,2"], "row 3: .*1.png is in the table twice"),
        (["path,score", "1.png,much"], "row 2.*much"),
        (["image,score", "1.png,1"], "no column 'path'; it has: image, score"),
    ],
)
def test_a_table_that_cannot_compete(
    folder: Path, tmp_path: Path, lines: list[str], message: str
) -> None:
    table = tmp_path / "theirs.csv"
    table.write_text("\n".join(lines).format(folder=folder) + "\n")
    with pytest.raises(UsageError, match=message):
        read_table(table, folder, open_pool(folder))
