"""Sidecars on disk: whose they are, whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin

from shamisa_cli.errors import ShamisaError, UsageError
from shamisa_cli.scoring.score import Score
from shamisa_cli.scoring.sidecars import Naming, Ratings, owners, sidecar_path, write_sidecar

ADOBE = Ratings(naming="adobe")


def row(path: Path, score: float = 71.23456) -> Score:
    return Score(str(path), score, 1, 1, 1, 1, "m@1", "h")


def test_names() -> None:
    assert sidecar_path("in/a.b.jpg", "digikam") == Path("in/a.b.jpg.xmp")
    assert sidecar_path("in/a.b.jpg", "adobe") == Path("in/a.b.xmp")


def test_a_raw_photo_has_the_sidecar_that_its_jpeg_shares() -> None:
    photos = ["a.jpg", "a.NEF", "b.png", "b.jpg", "sub/a.jpg"]
    found = {str(path): photo for path, photo in owners(photos, "adobe").items()}
    assert found == {"a.xmp": "a.NEF", "b.xmp": "b.png", str(Path("sub/a.xmp")): "sub/a.jpg"}
    assert len(owners(photos, "digikam")) == len(photos)


def test_written_once_and_again_when_it_differs(tmp_path: Path) -> None:
    photo = tmp_path / "a.jpg"
    path = tmp_path / "a.xmp"
    assert write_sidecar(row(photo), ADOBE)
    assert b'xmp:Rating="4"' in path.read_bytes()
    path.chmod(0o640)
    assert not write_sidecar(row(photo), ADOBE)
    assert not write_sidecar(row(photo, 71.2346), ADOBE)  # as a row of a file has it
    assert write_sidecar(row(photo, 15.0), replace(ADOBE, reject_below=16.0))
    assert b'xmp:Rating="-1"' in path.read_bytes()
    if os.name != "nt":
        assert path.stat().st_mode & 0o777 == 0o640
    assert [each.name for each in tmp_path.iterdir()] == ["a.xmp"]


PACKET = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
 xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""
 xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="%d"/></rdf:RDF></x:xmpmeta>"""


def save_rated(path: Path, stars: int, where: str) -> None:
    """A photo that a person gave ``stars``, in XMP or EXIF inside it; 0 is none."""
    picture = Image.new("RGB", (8, 8))
    exif = Image.Exif()
    if where == "exif":
        exif[0x4746] = stars
        picture.save(path, exif=exif)
    elif path.suffix == ".png":
        notes = PngImagePlugin.PngInfo()
        notes.add_itxt("XML:com.adobe.xmp", (PACKET % stars).decode())
        picture.save(path, pnginfo=notes)
    elif path.suffix == ".tif":
        picture.save(path, tiffinfo={700: PACKET % stars})
    else:
        picture.save(path, xmp=PACKET % stars)


@pytest.mark.parametrize(
    ("name", "where"),
    [("a.jpg", "xmp"), ("a.jpg", "exif"), ("a.webp", "xmp"), ("a.png", "xmp"), ("a.tif", "xmp")],
)
def test_a_persons_rating_in_the_photo_gets_none_beside_it(
    tmp_path: Path, name: str, where: str
) -> None:
    """The control is a photo with 0 stars, which are none."""
    for stars in (2, 0):
        save_rated(tmp_path / name, stars, where)
        assert write_sidecar(row(tmp_path / name), Ratings())
        sidecar = (tmp_path / f"{name}.xmp").read_bytes()
        assert b"71.2346" in sidecar
        assert (b"Rating" in sidecar) == (stars == 0)
        (tmp_path / f"{name}.xmp").unlink()


@pytest.mark.parametrize(("ours", "theirs"), [("digikam", "adobe"), ("adobe", "digikam")])
def test_a_persons_rating_in_the_sidecar_of_the_other_name_counts(
    tmp_path: Path, ours: Naming, theirs: Naming
) -> None:
    """One that we wrote there does not."""
    photo = tmp_path / "a.jpg"
    other, sidecar = sidecar_path(str(photo), theirs), sidecar_path(str(photo), ours)
    write_sidecar(row(photo), Ratings(naming=theirs))
    write_sidecar(row(photo), Ratings(naming=ours))
    assert b'xmp:Rating="4"' in sidecar.read_bytes()
    sidecar.unlink()
    other.write_bytes(PACKET % 5)
    write_sidecar(row(photo), Ratings(naming=ours))
    assert b"Rating" not in sidecar.read_bytes()
    assert b"71.2346" in sidecar.read_bytes()


def test_our_own_rating_is_brought_up_to_date_in_any_case(tmp_path: Path) -> None:
    photo = tmp_path / "a.jpg"
    write_sidecar(row(photo), ADOBE)
    save_rated(photo, 2, "xmp")
    write_sidecar(row(photo, 15.0), ADOBE)
    assert b'xmp:Rating="1"' in (tmp_path / "a.xmp").read_bytes()


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "real.xmp").touch()
    (tmp_path / "a.xmp").symlink_to("real.xmp")
    write_sidecar(row(tmp_path / "a.jpg"), ADOBE)
    assert (tmp_path / "a.xmp").is_symlink()
    assert b"71.2346" in (tmp_path / "real.xmp").read_bytes()


def test_what_cannot_be_merged_stays_as_it_is(tmp_path: Path) -> None:
    photo, path = tmp_path / "a.jpg", tmp_path / "a.xmp"
    path.write_bytes(b"notes of mine")
    with pytest.raises(ShamisaError, match=r"a\.xmp: is no whole XML .*; repair it"):
        write_sidecar(row(photo), ADOBE)
    assert path.read_bytes() == b"notes of mine"
    path.unlink()
    path.mkdir()
    with pytest.raises(ShamisaError, match=r"a\.xmp: is no ordinary file"):
        write_sidecar(row(photo), ADOBE)
    with pytest.raises(ShamisaError, match=r"a\.xmp: cannot be written"):
        write_sidecar(row(tmp_path / "none" / "a.jpg"), ADOBE)


def test_no_half_file_is_left(
    tmp_path: Path, no_file_over: Callable[[int], AbstractContextManager[None]]
) -> None:
    photo, path = tmp_path / "a.jpg", tmp_path / "a.xmp"
    write_sidecar(row(photo), ADOBE)
    before = path.read_bytes()
    with no_file_over(100), pytest.raises(ShamisaError, match=r"a\.xmp: cannot be written"):
        write_sidecar(row(photo, 10.0), ADOBE)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["a.xmp"]


def test_a_name_as_long_as_the_system_allows(tmp_path: Path) -> None:
    """255 bytes with the ending of a sidecar; what it is written as first has a shorter name."""
    photo = tmp_path / ("x" * 247 + ".jpg")
    assert write_sidecar(row(photo), Ratings(naming="adobe"))
    assert [each.name for each in tmp_path.iterdir()] == ["x" * 247 + ".xmp"]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"stars": (20.0, 40.0, 60.0)}, "stars must be four rising scores"),
        ({"stars": (20.0, 40.0, 40.0, 80.0)}, "stars must be four rising scores"),
        ({"stars": (20.0, 40.0, 60.0, 101.0)}, "must be scores from 0 to 100"),
        ({"stars": (float("nan"), 40.0, 60.0, 80.0)}, "must be scores from 0 to 100"),
        ({"reject_below": -1.0}, "reject_below must be scores from 0 to 100"),
    ],
)
def test_ratings_that_make_no_sense(wrong: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        Ratings(**wrong)  # type: ignore[arg-type]
