"""The report in a real browser: sorted, filtered, marked by keyboard, at any width, safe."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from report_rows import HOSTILE, make_row

from shamisa_cli.reporting import write_report
from shamisa_cli.scoring.score import Score, best_first

N_SCORED = 12


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory, sample_photos: list[Image.Image]) -> list[Score]:
    """Twelve scored photos in two folders, their scores 3 to 91, a failed one and one gone."""
    folder = tmp_path_factory.mktemp("seen")
    made = []
    for n in range(N_SCORED):
        path = folder / f"photos/day{n % 2}/p{n}.{'tif' if n == 5 else 'jpg'}"
        path.parent.mkdir(parents=True, exist_ok=True)
        sample_photos[n % 2].resize((160, 120)).save(path)
        looks = {0: "", 1: "motion blur 0.6, JPEG 0.3", 2: "JPEG 0.8"}[n % 3]
        status = "clipped" if n == 7 else "ok"
        made.append(make_row(str(path), 3.0 + 8 * n, looks_like=looks, status=status))
    made[3:3] = [make_row(str(folder / "photos/bad.jpg"), None)]
    made.append(make_row(str(folder / "photos/day1/gone.jpg"), 50.0))
    (folder / "p0.map.png").write_bytes(b"")
    sample_photos[1].resize((160, 120)).save(folder / "p0.map.png")
    return made


@pytest.fixture(scope="module")
def page(rows: list[Score]) -> Path:
    top = Path(rows[0].path).parents[2]
    chart = {rows[0].path: top / "p0.map.png"}
    write_report(rows, top / "report.html", map_of=lambda row: chart.get(row.path))
    return top / "report.html"


@pytest.fixture
def see(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens a page as if for the first time; at the end, nothing may have been complained of."""

    def open_page(page: Path, width: int = 1200, dark: bool = False) -> Any:
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 700}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        browser.get(page.as_uri())
        browser.execute_script("localStorage.clear()")
        browser.refresh()
        return browser

    browser.get_log("browser")
    yield open_page
    assert [each["message"] for each in browser.get_log("browser")] == []


def press(browser: Any, *keys: str) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    ActionChains(browser, duration=0).send_keys(*keys).perform()


def key(name: str) -> str:
    from selenium.webdriver.common.keys import Keys

    return getattr(Keys, name)


def put(browser: Any, field: str, value: object) -> None:
    """As a hand would: the value, and the event that tells of it."""
    browser.execute_script(
        "const field = document.getElementById(arguments[0]); field.value = arguments[1];"
        "field.dispatchEvent(new Event('input', {bubbles: true}))",
        field,
        str(value),
    )


def click(browser: Any, name: str) -> None:
    browser.find_element("id", name).click()


def tiles(browser: Any, what: str = ".name") -> list[str]:
    return browser.execute_script(
        f"return [...document.querySelectorAll('.tile {what}')].map((each) => each.textContent)"
    )


def text(browser: Any, name: str) -> str:
    return browser.execute_script("return document.getElementById(arguments[0]).textContent", name)


def names(rows: list[Score]) -> list[str]:
    return [Path(row.path).name for row in rows]


def wait_for(what: Callable[[], Any]) -> Any:
    end = time.monotonic() + 10
    while not (found := what()) and time.monotonic() < end:
        time.sleep(0.02)
    return found


def test_it_opens_best_first(see: Any, page: Path, rows: list[Score]) -> None:
    browser = see(page)
    assert tiles(browser) == names(best_first(rows))
    assert tiles(browser, ".score")[:2] == ["91.0", "83.0"]
    assert set(tiles(browser, ".says")) == {
        "day0",
        "day1",
        "motion blur 0.6, JPEG 0.3",
        "JPEG 0.8",
        "photos",
    }
    assert "13 photos scored by tiny@1, head toy" in text(browser, "summary")
    assert wait_for(
        lambda: browser.execute_script(
            "const all = [...document.querySelectorAll('.tile img')];"
            "return all.length === 12 && all.every((each) => each.naturalWidth > 0)"
        )
    )


def test_other_orders(see: Any, page: Path, rows: list[Score]) -> None:
    browser = see(page)
    press(browser, "s")
    scored = sorted((row for row in rows if not row.failed), key=lambda row: row.score or 0)
    assert tiles(browser) == [*names(scored), "bad.jpg"]
    put(browser, "sort", "given")
    assert tiles(browser) == names(rows)
    put(browser, "sort", "path")
    assert tiles(browser) == names(sorted(rows, key=lambda row: row.path))


def test_filters(see: Any, page: Path, rows: list[Score]) -> None:
    browser = see(page)

    def shows(keep: Callable[[Score], object]) -> bool:
        return tiles(browser) == names(best_first(row for row in rows if keep(row)))

    put(browser, "from", 20)
    put(browser, "to", 51)  # 51 itself is not below
    assert shows(lambda row: row.score and 20 <= row.score < 51)
    assert text(browser, "shown") == "4 of 14 photos"
    put(browser, "folder", str(page.parent / "photos/day1"))
    assert shows(lambda row: row.score and 20 <= row.score < 51 and "day1" in row.path)
    click(browser, "reset")
    assert shows(lambda row: True)
    put(browser, "kind", "JPEG")
    assert shows(lambda row: "JPEG" in row.looks_like)
    put(browser, "kind", "motion blur")
    assert shows(lambda row: "motion" in row.looks_like)
    click(browser, "reset")
    put(browser, "status", "clipped")
    assert tiles(browser) == ["p7.jpg"]
    put(browser, "status", "scored")
    assert shows(lambda row: not row.failed)
    click(browser, "reset")
    put(browser, "text", "P1")
    assert shows(lambda row: "p1" in row.path)
    click(browser, "reset")
    click(browser, "failed")
    assert tiles(browser, ".picture") == ["damaged or truncated; copy or download it again"]


def test_the_threshold_counts(see: Any, page: Path) -> None:
    browser = see(page)
    assert text(browser, "would-go") == "0 of 13 photos would go (0.0%)"
    put(browser, "threshold", 35)  # 3, 11, 19, 27 lie below; 35 does not
    assert text(browser, "would-go") == "4 of 13 photos would go (30.8%)"
    put(browser, "folder", str(page.parent / "photos/day0"))
    assert text(browser, "would-go") == "2 of 6 photos would go (33.3%)"
    click(browser, "show-below")
    assert tiles(browser) == ["p2.jpg", "p0.jpg"]
    click(browser, "reject-below")
    assert text(browser, "marked") == "0 keep, 2 reject"
    click(browser, "undo")
    assert text(browser, "marked") == "0 keep, 0 reject"
    bars = browser.execute_script(
        "return [...document.querySelectorAll('.bar')].map((bar) => bar.title)"
    )
    assert len(bars) == 20
    assert bars[0] == "0 to 5: 1 photo"
    browser.find_elements("css selector", ".bar")[3].click()
    assert tiles(browser) == ["p2.jpg"]


def test_marks_by_keyboard_are_kept_and_exported(see: Any, page: Path, rows: list[Score]) -> None:
    browser = see(page)
    press(browser, "k", key("ARROW_RIGHT"), "R", "r", "u", "z")  # R goes on, u is undone
    marked = {"p11.jpg": "keep", "p10.jpg": "reject", "p9.jpg": "reject"}

    def shown() -> dict[str, str]:
        return browser.execute_script(
            "return Object.fromEntries([...document.querySelectorAll('.tile')].map((tile) =>"
            "[tile.querySelector('.name').textContent, tile.dataset.mark]).filter((e) => e[1]))"
        )

    assert shown() == marked
    browser.refresh()
    assert shown() == marked
    assert text(browser, "marked") == "1 keep, 2 reject"
    put(browser, "mark", "reject")
    assert tiles(browser) == ["p10.jpg", "p9.jpg"]
    press(browser, "e")
    file = browser.downloads / "report-marks.csv"
    assert wait_for(file.is_file)
    with file.open(newline="", encoding="utf-8") as content:
        exported = {Path(row["path"]).name: row for row in csv.DictReader(content)}
    file.unlink()
    assert {name: row["mark"] for name, row in exported.items()} == marked
    assert exported["p11.jpg"] == {"path": rows[-2].path, "mark": "keep", "score": "91"}


def test_by_keyboard_alone(see: Any, page: Path) -> None:
    browser = see(page)

    def current() -> str:
        return browser.execute_script(
            "const id = document.getElementById('grid').getAttribute('aria-activedescendant');"
            "return document.getElementById(id).querySelector('.name').textContent"
        )

    def focused() -> str:
        return browser.execute_script("return document.activeElement.id")

    for _ in range(30):
        press(browser, key("TAB"))
        if focused() == "grid":
            break
    assert focused() == "grid"
    press(browser, key("END"))
    assert current() == "bad.jpg"
    press(browser, key("HOME"), key("ARROW_DOWN"))
    per_row = browser.execute_script(
        "return getComputedStyle(document.getElementById('window'))"
        ".gridTemplateColumns.split(' ').length"
    )
    assert current() == tiles(browser)[per_row]
    press(browser, key("HOME"), key("ENTER"))
    assert text(browser, "viewer-name") == "p11.jpg"
    press(browser, key("ARROW_RIGHT"), "K")
    assert text(browser, "viewer-name") == "p9.jpg"
    press(browser, key("ENTER"))
    assert not browser.find_element("id", "viewer").is_displayed()
    assert (current(), focused()) == ("p9.jpg", "grid")
    press(browser, "/", "p10")
    assert (focused(), tiles(browser)) == ("text", ["p10.jpg"])
    press(browser, key("ESCAPE"), "?")
    assert "undo the last marks" in browser.find_element("id", "keys").text
    press(browser, key("ESCAPE"))
    assert not browser.find_element("id", "keys").is_displayed()


def test_another_order_keeps_the_large_photo(see: Any, page: Path) -> None:
    """What is marked is what is seen, and its neighbors are those of the new order."""
    browser = see(page)
    press(browser, key("ENTER"), "s")
    assert text(browser, "viewer-name") == "p11.jpg"
    assert browser.find_element("id", "previous").is_enabled()
    press(browser, "r")
    kept = browser.execute_script(
        "return localStorage.getItem(`shamisa marks ${location.pathname}`)"
    )
    assert {Path(path).name: mark for path, mark in json.loads(kept).items()} == {
        "p11.jpg": "reject"
    }
    press(browser, key("ARROW_LEFT"))
    assert text(browser, "viewer-name") == "p10.jpg"
    press(browser, key("ARROW_RIGHT"), "s", key("ESCAPE"), "k")
    chosen = browser.find_element("css selector", ".tile[aria-selected=true]")
    assert (chosen.text.splitlines()[-2], chosen.get_attribute("data-mark")) == ("p11.jpg", "keep")
    press(browser, "s", "k")  # with no photo large, on with the first
    assert browser.find_elements("css selector", ".tile")[0].get_attribute("data-mark") == "keep"


def large(browser: Any, name: str = "large") -> list[Any]:
    """Width of the picture, once it is loaded, and where it came from."""
    script = "const it = document.getElementById(arguments[0]); return [it.naturalWidth, it.src]"
    wait_for(lambda: browser.execute_script(script, name)[0])
    return browser.execute_script(script, name)


def test_a_photo_large(see: Any, page: Path, rows: list[Score]) -> None:
    browser = see(page)
    put(browser, "text", "p0.jpg")
    browser.find_element("css selector", ".tile").click()
    assert large(browser) == [160, Path(rows[0].path).as_uri()]
    press(browser, "m")
    assert large(browser, "map") == [160, (page.parent / "p0.map.png").as_uri()]
    press(browser, key("ESCAPE"))
    put(browser, "text", "p5.tif")
    press(browser, key("ENTER"))
    assert large(browser)[1].startswith("data:image/webp")
    assert not browser.find_element("id", "map").is_displayed()
    press(browser, key("ESCAPE"))
    for name, why in (("bad.jpg", "damaged or truncated"), ("gone.jpg", "the photo is gone")):
        put(browser, "text", name)
        press(browser, key("ENTER"))
        assert why in text(browser, "no-picture")
        press(browser, key("ESCAPE"))


def test_hostile_names_run_nothing(see: Any, small_photo: Image.Image, tmp_path: Path) -> None:
    photos = []
    for name in HOSTILE:
        photos.append(tmp_path / "photos" / name)
        photos[-1].parent.mkdir(parents=True, exist_ok=True)
        small_photo.save(photos[-1])
    says = {"looks_like": "<b onclick=window.ran=1>", "note": "</script><script>window.ran=1"}
    rows = [make_row(str(photo), 50.0 - n, **says) for n, photo in enumerate(photos)]
    rows.append(make_row("x", None, error="<img src=x onerror=window.ran=1>"))
    page = tmp_path / "#1 <script>window.ran=1;.html"
    write_report(rows, page)
    browser = see(page)
    assert tiles(browser) == [str(row.to_row()["path"]).rsplit("/", 1)[1] for row in rows[:-1]] + [
        "x"
    ]
    press(browser, key("ENTER"))
    for row in rows[:-1]:
        assert text(browser, "viewer-facts").count(str(row.to_row()["path"])) == 1
        assert large(browser)[0] == 64
        press(browser, "K")
    assert browser.execute_script("return window.ran") is None
    assert browser.title.startswith("#1 <script>")
    press(browser, key("ESCAPE"), "e")
    file = wait_for(lambda: next(browser.downloads.glob("*marks.csv"), None))
    with file.open(newline="", encoding="utf-8") as content:
        assert [row["path"] for row in csv.DictReader(content)] == [
            row.to_row()["path"] for row in rows[:-1]
        ]
    file.unlink()


def test_a_script_that_came_in_all_the_same_is_not_run(see: Any, page: Path) -> None:
    browser = see(page)
    browser.execute_script(
        "const script = document.createElement('script'); script.textContent = 'window.ran = 1';"
        "document.body.append(script); document.body.insertAdjacentHTML('beforeend',"
        "'<img src=data:, onerror=window.ran=1>')"
    )
    told = wait_for(lambda: browser.get_log("browser"))
    assert "Content Security Policy" in told[0]["message"]
    assert browser.execute_script("return window.ran") is None


def test_ten_thousand_photos(see: Any, small_photo: Image.Image, tmp_path: Path) -> None:
    """What keeps it fast: few elements, and thumbnails that are loaded when they are near."""
    small_photo.save(tmp_path / "a.jpg")
    photos = [str(tmp_path / "a.jpg")] + [f"day{n % 9}/{n}.jpg" for n in range(1, 10_000)]
    write_report(
        (make_row(path, 99 - n / 200) for n, path in enumerate(photos)), tmp_path / "r.html"
    )
    browser = see(tmp_path / "r.html")
    counts = []
    for _ in range(2):
        counts.append(browser.execute_script("return document.querySelectorAll('*').length"))
        press(browser, key("END"))
        assert wait_for(lambda: "9999.jpg" in tiles(browser))
    assert max(counts) < 600
    assert len(tiles(browser)) < 60
    press(browser, key("HOME"))
    assert wait_for(lambda: "a.jpg" in tiles(browser))
    image = browser.find_element("css selector", ".tile img")
    assert image.get_attribute("loading") == "lazy"
    put(browser, "threshold", 89)
    assert text(browser, "would-go").startswith("7,999 of 10,000 photos")


def test_on_a_phone(see: Any, page: Path) -> None:
    browser = see(page, width=360)

    def overflow() -> int:
        return browser.execute_script("return document.documentElement.scrollWidth - innerWidth")

    assert overflow() <= 0
    assert not browser.find_element("id", "threshold").is_displayed()
    browser.find_element("css selector", "#panel > summary").click()
    assert browser.find_element("id", "threshold").is_displayed()
    assert overflow() <= 0
    browser.find_element("css selector", ".tile").click()
    for name in ("keep", "next", "close"):
        place = browser.execute_script(
            "return document.getElementById(arguments[0]).getBoundingClientRect().toJSON()", name
        )
        assert 0 <= place["x"] <= place["x"] + place["width"] <= 360
        assert 0 <= place["y"] <= place["y"] + place["height"] <= 900
    assert large(browser)[0] == 160
    click(browser, "keep")
    click(browser, "close")
    assert text(browser, "marked") == "1 keep, 0 reject"


def test_dark_and_light(see: Any, page: Path) -> None:
    def lightness(browser: Any) -> int:
        color = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
        return sum(map(int, color.removeprefix("rgb(").removesuffix(")").split(",")))

    assert lightness(see(page, dark=True)) < 150
    browser = see(page, dark=False)
    assert lightness(browser) > 600
    press(browser, "d", "d")  # light, dark
    assert lightness(browser) < 150
    browser.refresh()
    assert lightness(browser) < 150
    click(browser, "theme")  # as the system has it
    assert lightness(browser) > 600


def test_marks_where_nothing_may_be_kept(see: Any, page: Path) -> None:
    """As in a private window: marks last as long as the page, and it says so."""
    browser = see(page)
    source = "Storage.prototype.getItem = Storage.prototype.setItem = () => { throw Error('no') }"
    added = browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": source})
    try:
        browser.refresh()
        press(browser, "k")
        assert text(browser, "marked") == "1 keep, 0 reject"
        assert browser.find_element("id", "not-kept").is_displayed()
    finally:
        browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)
