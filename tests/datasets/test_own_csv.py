"""A user's own CSV: what is accepted, and refusals that name file and row."""

from __future__ import annotations

from pathlib import Path

import pytest

from shamisa_cli.datasets.registry import open_dataset
from shamisa_cli.errors import UsageError


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name in ("a.png", "b.png", "c.png", "d.png", "ref.png"):
        (tmp_path / name).touch()
    return tmp_path


def _open(photos: Path, text: str, name: str = "scores.csv"):  # type: ignore[no-untyped-def]
    (photos / name).write_text(text, encoding="utf-8")
    return open_dataset(str(photos / name))


def test_mos_with_reference_and_spread(photos: Path) -> None:
    dataset = _open(
        photos, "image,mos,reference,std\na.png,1,ref.png,.1\nb.png,2,ref.png,.2\nc.png,3,d.png,0\n"
    )
    assert dataset.info.name == "scores"
    assert dataset.info.score_range == (1, 3)
    assert dataset.scores.tolist() == [1, 2, 3]
    assert len(set(dataset.references)) == 2
    assert [path.name for path in dataset.reference_photos] == ["ref.png", "ref.png", "d.png"]


def test_distortions_and_severities(photos: Path) -> None:
    rows = "image,mos,distortion,severity\na.png,1,fog,0.5\nb.png,2,fog,\nc.png,3,,1\n"
    dataset = _open(photos, rows)
    assert dataset.distortions == ("fog", "fog", "")
    assert dataset.severities == ("0.5", "", "1")
    assert _open(photos, "image,mos\na.png,1\nb.png,2\nc.png,3\n").distortions == ()


def test_scores_with_byte_order_mark_and_spaces(photos: Path) -> None:
    dataset = _open(photos, "\ufeffimage, score\na.png, 1\nb.png, 2.5\nc.png, 3\n")
    assert dataset.scores.tolist() == [1, 2.5, 3]
    assert dataset.reference_photos == ()
    assert len(set(dataset.references)) == 3


def test_dmos_lower_is_better_and_own_split(photos: Path) -> None:
    dataset = _open(photos, "image,dmos,split\na.png,1,train\nb.png,2,val\nc.png,5,test\n")
    assert not dataset.info.higher_is_better
    assert dataset.scores.tolist() == [5, 4, 1]
    assert dataset.parts == ("train", "val", "test")
    assert dataset.info.official_split


def test_paths_may_be_relative_to_another_root(photos: Path, tmp_path: Path) -> None:
    table = tmp_path / "elsewhere" / "scores.csv"
    table.parent.mkdir()
    table.write_text("image,mos\na.png,1\nb.png,2\nc.png,3\n")
    assert len(open_dataset(str(table), photos).images) == 3
    table.write_text(f"image,mos\n../a.png,1\n../b.png,2\n{photos / 'c.png'},3\n")
    assert len(open_dataset(str(table)).images) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"scores\.csv: no column 'image'; it has: none"),
        ("image,mos\n", r"scores\.csv: no rows"),
        ("file,mos\na.png,1\n", r"no column 'image'; it has: file, mos$"),
        ("image;mos\na.png;1\n", r"it has: image;mos; save it with commas between the columns"),
        ("Image,MOS\na.png,1\n", r"it has: Image, MOS; write names in small letters"),
        ("image,quality\na.png,1\n", r"exactly one of the columns mos, score, dmos"),
        ("image,mos,dmos\na.png,1,2\n", r"exactly one of the columns"),
        ("image,image,mos\na.png,b.png,1\n", r"'image' is there twice"),
        ("image,mos\na.png,1\nb.png,good\n", r"scores\.csv, row 3: mos is 'good'"),
        ("image,mos\na.png,1\nb.png,nan\n", r"scores\.csv, row 3: mos is 'nan'"),
        ("image,mos\na.png,inf\n", r"scores\.csv, row 2: mos is 'inf'"),
        ("image,mos\na.png,1\nb.png\nc.png,2\n", r"row 3 has not 2 cells"),
        ("image,mos\na.png,1,2\n", r"row 2 has not 2 cells"),
        ("image,mos\na.png,1\n,2\nc.png,3\n", r"row 3: image is empty"),
        ("image,mos\na.png,1\nb.png,2\na.png,3\n", r"row 4: a\.png was already .* row 2"),
        ("image,mos\na.png,2\nb.png,2\nc.png,2\n", r"rows? 2 to .*row 4: every score is 2"),
        ("image,mos\na.png,1\nb.png,2\n", r"2 scored images, at least 3"),
        ("image,mos\na.png,1\nb.png,2\nx.png,3\n", r"1 of 3 images .* x\.png \(.*row 4\)"),
        ("image,mos,reference\na.png,1,ref.png\nb.png,2,\nc.png,3,a.png\n", r"row 3: reference"),
        ("image,mos,split\na.png,1,train\nb.png,2,dev\nc.png,3,test\n", r"row 3: split is 'dev'"),
    ],
)
def test_bad_tables(photos: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        _open(photos, text)


def test_unreadable_tables(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        open_dataset(str(tmp_path / "absent.csv"))
    (tmp_path / "latin.csv").write_bytes("image,mos\nfrüh.png,1\n".encode("latin-1"))
    with pytest.raises(UsageError, match=r"is not UTF-8 .*; save it as CSV UTF-8"):
        open_dataset(str(tmp_path / "latin.csv"))
