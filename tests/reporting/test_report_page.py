"""The report as a file: what it holds, what is escaped, where pictures are, what is never lost."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest
from PIL import Image
from report_rows import HOSTILE, make_row

from shamisa_cli.errors import PhotoError, ShamisaError, UsageError
from shamisa_cli.files import FOLDER_MARK, is_ours
from shamisa_cli.imaging.paths import expand_paths, list_photos
from shamisa_cli.reporting import write_report
from shamisa_cli.reporting.keeping import check_folder, folder_beside
from shamisa_cli.reporting.rows import read_report_rows
from shamisa_cli.scoring.rows import RowFile
from shamisa_cli.scoring.score import COLUMNS, Score


class Elements(HTMLParser):
    """What a browser's parser finds: elements, their attributes, and the texts of scripts."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {"script": [], "style": []}
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        tag = self.found[-1][0] if self.found else ""
        if tag in self.texts and self.cdata_elem == tag:
            self.texts[tag].append(data)


def shown(page: Path) -> list[dict[str, object]]:
    """The rows in the data of ``page``."""
    data = json.loads("".join(Elements(page).texts["script"][:1]))
    return [dict(zip(data["columns"], row, strict=True)) for row in data["rows"]]


@pytest.fixture
def photos(tmp_path: Path, small_photo: Image.Image) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    small_photo.save(folder / "a.jpg")
    small_photo.resize((1600, 1200)).save(folder / "b.tif")
    return folder


def test_the_data_are_the_rows(photos: Path, tmp_path: Path) -> None:
    rows = [
        make_row(
            str(photos / "a.jpg"), 61.23456, uncertainty=4.2, better_than=43.21, note="smooth"
        ),
        make_row(str(photos / "b.tif"), 12.0, looks_like="motion blur 0.6, JPEG 0.3"),
        make_row(str(photos / "gone.jpg"), 50.0),
        make_row(str(photos / "bad.jpg"), None, error="damaged </script> & 'so on'"),
        *(make_row(f"nowhere/{name}", 1.0) for name in HOSTILE),
    ]
    page = tmp_path / "report.html"
    assert write_report(rows, page) == 1 + len(HOSTILE)
    found = shown(page)
    assert [{name: row[name] for name in COLUMNS} for row in found] == [r.to_row() for r in rows]
    assert [row["gone"] for row in found[:4]] == ["", "", *2 * ["the photo is gone"]]
    assert is_ours(page)


def test_thumbnails_are_inside_and_small(photos: Path, tmp_path: Path) -> None:
    rows = [make_row(str(photos / name), 50.0) for name in ("a.jpg", "b.tif")]
    write_report(rows, tmp_path / "report.html")
    small, large = shown(tmp_path / "report.html")
    assert (small["large"], small["file"]) == ("photos/a.jpg", "photos/a.jpg")
    assert large["file"] == "photos/b.tif"
    for url, size in ((small["thumb"], (64, 48)), (large["thumb"], (256, 192))):
        assert picture(str(url)).size == size
    assert picture(str(large["large"])).size == (1280, 960)  # no browser shows a TIFF
    assert not folder_beside(tmp_path / "report.html").exists()


def picture(url: str) -> Image.Image:
    kind, content = url.split(",")
    assert kind == "data:image/webp;base64"
    return Image.open(io.BytesIO(base64.b64decode(content)))


def test_nothing_in_a_row_becomes_markup(tmp_path: Path) -> None:
    texts = {"looks_like": "</script><b>", "note": "<!--<script>", "error": ""}
    write_report([make_row(name, 1.0, **texts) for name in HOSTILE], tmp_path / "h.html")
    write_report([make_row("plain.jpg", 1.0)], tmp_path / "p.html")
    hostile, plain = (Elements(tmp_path / f"{name}.html") for name in "hp")
    strip = [(tag, attributes) for tag, attributes in hostile.found if "name" not in attributes]
    assert strip == [each for each in plain.found if "name" not in each[1]]
    assert hostile.texts["script"][1:] == plain.texts["script"][1:]


def test_the_name_of_the_page_is_escaped(tmp_path: Path) -> None:
    page = tmp_path / "<b>{{ 7 * 7 }}&.html"
    write_report([make_row("a.jpg", 1.0)], page)
    assert "<h1>&lt;b&gt;{{ 7 * 7 }}&amp;</h1>" in page.read_text()


def test_the_policy_allows_this_script_and_no_other(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    write_report([make_row("a.jpg", 1.0)], page)
    found = Elements(page)
    policy = next(a["content"] for _, a in found.found if a.get("http-equiv")) or ""
    allowed = dict(part.split(" ", 1) for part in policy.split("; "))
    assert allowed["default-src"] == "'none'"
    for kind, text in (("script", found.texts["script"][-1]), ("style", found.texts["style"][0])):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert allowed[f"{kind}-src"] == f"'sha256-{digest}'"
    assert "unsafe" not in policy
    assert not re.search(r"https?:", page.read_text()), "something is fetched from the net"


@pytest.mark.parametrize("name", HOSTILE)
def test_urls_lead_to_photos_of_any_name(
    name: str, small_photo: Image.Image, tmp_path: Path
) -> None:
    photo = tmp_path / "photos" / name
    photo.parent.mkdir(parents=True)
    small_photo.save(photo)
    page = tmp_path / "reports" / "report.html"
    page.parent.mkdir()
    write_report([make_row(str(photo), 1.0)], page)
    (row,) = shown(page)
    assert re.fullmatch(r"[\w./%~-]+", str(row["file"]))
    reached = page.parent / unquote_to_bytes(str(row["file"])).decode("utf-8", "surrogateescape")
    assert reached.samefile(photo)


def test_maps_lie_where_they_are(photos: Path, tmp_path: Path) -> None:
    (photos / "a.map.png").write_bytes(b"a picture")
    rows = [make_row(str(photos / name), 50.0) for name in ("a.jpg", "b.tif")]
    maps = {row.path: Path(row.path).with_suffix(".map.png") for row in rows}
    write_report(rows, tmp_path / "report.html", map_of=lambda row: maps[row.path])
    assert [row["map"] for row in shown(tmp_path / "report.html")] == ["photos/a.map.png", ""]


def many(photo: Path, n: int) -> list[Score]:
    return [make_row(str(photo), float(k % 100)) for k in range(n)]


def test_from_500_photos_on_there_is_a_folder(photos: Path, tmp_path: Path) -> None:
    page, folder = tmp_path / "my report.html", tmp_path / "my report_files"
    write_report(many(photos / "a.jpg", 499), page)
    assert not folder.exists()
    write_report(many(photos / "a.jpg", 500), page)
    rows = shown(page)
    assert rows[499]["thumb"] == "my%20report_files/000500.webp"
    assert len(list(folder.iterdir())) == 501
    assert Image.open(folder / "000500.webp").size == (64, 48)

    # the thumbnails are no photos to score
    assert len(list_photos(tmp_path)) == 2
    assert len(list(expand_paths([str(tmp_path / "**")]))) == 2
    assert len(list_photos(folder)) == 500  # asked for by name

    write_report(many(photos / "a.jpg", 3), page)
    assert not folder.exists()


def test_previews_count_as_ten(photos: Path, tmp_path: Path) -> None:
    small = tmp_path / "c.tif"
    Image.open(photos / "a.jpg").save(small)
    for n, apart in ((49, False), (50, True)):
        write_report(many(small, n), tmp_path / "report.html")
        assert folder_beside(tmp_path / "report.html").exists() == apart
    assert (tmp_path / "report_files" / "000050-large.webp").is_file()


def test_a_folder_with_something_else_is_refused(tmp_path: Path) -> None:
    folder = folder_beside(tmp_path / "report.html")
    folder.mkdir()
    check_folder(tmp_path / "report.html")  # empty
    (folder / FOLDER_MARK).touch()
    (folder / "000001.webp").touch()
    check_folder(tmp_path / "report.html")
    (folder / "mine.txt").touch()
    with pytest.raises(UsageError, match=r"report_files: is there, and holds 'mine.txt'"):
        check_folder(tmp_path / "report.html")
    with pytest.raises(
        UsageError, match=r"holds .mine\.txt."
    ):  # put there while pictures were made
        write_report(many(tmp_path / "none.jpg", 500), tmp_path / "report.html")
    assert (folder / "mine.txt").exists()
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize("n", [3, 8])
def test_an_interrupted_run_leaves_what_was_there(
    photos: Path, tmp_path: Path, n: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing, or the whole older report."""
    monkeypatch.setattr("shamisa_cli.reporting.write.FOLDER_FROM", 8)
    page = tmp_path / "report.html"
    rows = many(photos / "a.jpg", n)

    def interrupt() -> None:
        raise KeyboardInterrupt

    for _ in range(2):
        before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
        with pytest.raises(KeyboardInterrupt):
            write_report(rows, page, step=interrupt)
        assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
        write_report(rows, page)
        assert len(shown(page)) == n
        assert folder_beside(page).exists() == (n == 8)


def test_what_a_killed_run_left_is_cleared(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shamisa_cli.reporting.write.FOLDER_FROM", 2)
    page, rows = tmp_path / "report.html", many(photos / "a.jpg", 2)
    for name in (".report_files.part", ".report_files.old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / FOLDER_MARK).touch()
    write_report(rows, page)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["photos", "report.html", "report_files"]
    (tmp_path / ".report_files.part").mkdir()  # somebody else's
    with pytest.raises(ShamisaError, match=r"report.html: cannot be written: File exists"):
        write_report(rows, page)
    assert (tmp_path / ".report_files.part").exists()


def test_a_full_disk(photos: Path, tmp_path: Path, no_file_over) -> None:
    page = tmp_path / "report.html"
    write_report(many(photos / "a.jpg", 2), page)
    before = page.read_bytes()
    with no_file_over(20_000), pytest.raises(ShamisaError, match=r"report.html: cannot be written"):
        write_report(many(photos / "a.jpg", 30), page)
    assert page.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos", "report.html"]


def test_a_bad_photo_stops_nothing(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (photos / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    names = ("a.jpg", "cut.png", "", ".", "b\0.jpg", "a.jpg/b.jpg")
    rows = [make_row(str(photos / name) if name else "", 5.0) for name in names]
    assert write_report(rows, tmp_path / "report.html", workers=0) == 5
    gone = [str(row["gone"]) for row in shown(tmp_path / "report.html")]
    assert gone[0] == ""
    assert gone[1].startswith("damaged or truncated")
    assert gone[2:4] == ["it had no file", "no ordinary file"]
    assert all(gone[1:])


@pytest.mark.parametrize("kind", ["csv", "json", "jsonl"])
def test_rows_are_read_back(kind: str, tmp_path: Path) -> None:
    rows = [make_row(name, 1.5, note='a "b"', better_than=3.0) for name in HOSTILE]
    rows.append(make_row("bad.jpg", None))
    file = tmp_path / "rows.txt"  # the content decides, not the ending
    RowFile(file, kind, rows).close()  # type: ignore[arg-type]
    assert read_report_rows(file) == rows
    if kind != "json":  # a killed run
        file.write_bytes(file.read_bytes() + (b'"tor' if kind == "csv" else b'{"path": "to'))
        assert read_report_rows(file) == rows


def test_rows_with_more_or_fewer_columns(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("\ufeffmine,status,path,score\nx,ok,a.jpg,7\ny,failed,b.jpg,\n")
    good, bad = read_report_rows(file)
    assert (good.path, good.score, good.note, good.width) == ("a.jpg", 7.0, "", None)
    assert bad.failed


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "no column 'path'"),
        ("image,mos\na.jpg,3\n", "no column 'path'"),
        ("path,score,status\n", "has no rows"),
        ("path,score,status\na.jpg,many,ok\n", r"row 1 cannot be read: .*many"),
        ("path,score,status\na.jpg,1,ok\nb.jpg,nan,ok\n", "row 2 cannot be read: .*finite"),
        ("path,score,status\na.jpg,,ok\n", "row 1 cannot be read: its status is 'ok'"),
        ("path,score,status\na,jpg,1,ok\n", "row 1 has 4 fields, the header 3"),
        ('[{"score": 1}]', "row 1 has no 'path'"),
        ("[1, 2]", "something else than rows"),
        ('{"path": "a.jpg", "score"', "no rows that can be read"),
    ],
)
def test_what_is_no_file_of_rows(content: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text(content)
    with pytest.raises(UsageError, match=said) as refused:
        read_report_rows(file)
    assert str(refused.value).startswith(f"{file}: ")


def test_a_photo_whose_making_fails_says_why(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **options: object) -> None:
        raise PhotoError(f"{photos / 'a.jpg'}: too large for this machine's memory")

    monkeypatch.setattr("shamisa_cli.reporting.pictures.decode_photo", fail)
    write_report([make_row(str(photos / "a.jpg"), 5.0)], tmp_path / "report.html")
    (row,) = shown(tmp_path / "report.html")
    assert (row["gone"], row["file"]) == ("too large for this machine's memory", "photos/a.jpg")
