"""What a report costs to make, and how soon a browser shows it, measured in one run.

    python benchmarks/report.py [--rows 10000] [--photos 24] [--model default]

Making: the processor time of scoring a photo, of its thumbnail from a second decode (what is done),
and of the thumbnail from the picture that was scored (what would have to be kept for it). Showing:
in headless Chromium, from the start of the navigation, five times; needs chromium and chromedriver.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from sklearn.datasets import load_sample_image

import shamisa_cli
from shamisa_cli.imaging.decode import decode
from shamisa_cli.imaging.resample import limit_short_side
from shamisa_cli.reporting import write_report
from shamisa_cli.reporting.photos import find_photo
from shamisa_cli.reporting.pictures import THUMBNAIL_SIDE, encode_picture, make_pictures
from shamisa_cli.scoring.score import Score

KINDS = (((500, 500), "jpg"), ((500, 500), "webp"), ((4000, 3000), "jpg"), ((4000, 3000), "png"))
TIMES = 5
SHOWN = """
const done = arguments[0];
requestAnimationFrame(() => setTimeout(() => done({
  paint: performance.getEntriesByName("first-contentful-paint")[0].startTime,
  loaded: performance.getEntriesByType("navigation")[0].loadEventEnd,
  tiles: document.querySelectorAll(".tile").length,
  elements: document.querySelectorAll("*").length,
}), 500));
"""


def milliseconds(work: Callable[[], object], times: int) -> float:
    """Processor time of one ``work``, the mean of several."""
    started = time.process_time()
    for _ in range(times):
        work()
    return 1000 * (time.process_time() - started) / times


def making(photos: int, model: str) -> None:
    """Print what the thumbnail of a photo costs beside its score."""
    scorer = shamisa_cli.load(model, workers=0)
    print("| ms of processor time a photo | score | thumbnail | from the scored picture |")
    print("| --- | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder:
        for size, ending in KINDS:
            path = Path(folder, f"photo.{ending}")
            Image.fromarray(load_sample_image("china.jpg")).resize(size).save(path)
            row = scorer.score(str(path))
            seen = limit_short_side(decode(path), 512)
            costs = [
                milliseconds(lambda path=path: scorer.score(str(path)), photos),
                milliseconds(lambda row=row: make_pictures(find_photo(row)), photos),
                milliseconds(lambda seen=seen: encode_picture(seen, THUMBNAIL_SIDE), photos),
            ]
            figures = " | ".join(f"{cost:.1f}" for cost in costs)
            print(f"| {size[0]}×{size[1]} px, {ending} | {figures} |")


def showing(rows: int) -> None:
    """Print how soon a page of so many made-up rows is on the screen."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(argument)
    options.binary_location = shutil.which("chromium") or ""
    driver = webdriver.ChromeService(shutil.which("chromedriver"))
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder, "report.html")
        facts = (6000, 4000, 768, 512, "model@1a2b3c4d", "head")
        photos = (f"trip/day{n % 9}/IMG_{n:05}.jpg" for n in range(rows))
        started = time.perf_counter()
        write_report((Score(path, n % 1000 / 10, *facts) for n, path in enumerate(photos)), page)
        made, megabytes = time.perf_counter() - started, page.stat().st_size / 1e6
        print(f"\n{rows} rows without pictures: {made:.1f} s to write, {megabytes:.1f} MB")
        browser = webdriver.Chrome(options=options, service=driver)
        try:
            seen = []
            for _ in range(TIMES):
                browser.get(page.as_uri())
                seen.append(browser.execute_async_script(SHOWN))
        finally:
            browser.quit()
    for what in ("paint", "loaded"):
        times = sorted(each[what] for each in seen)
        median = statistics.median(times)
        print(f"{what}: {median:.0f} ms (median of {TIMES}, at most {times[-1]:.0f})")
    print(f"{seen[0]['elements']} elements, {seen[0]['tiles']} tiles")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--photos", type=int, default=24, help="scored and shrunk, of each kind")
    parser.add_argument("--model", default="default")
    asked = parser.parse_args()
    making(asked.photos, asked.model)
    showing(asked.rows)


if __name__ == "__main__":
    main()
