"""Makes docs/pictures/report.jpg: a report on two sample photos and distorted copies of them.

python docs/make_report_picture.py    needs chromium and chromedriver, and selenium
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys
from sklearn.datasets import load_sample_images

PICTURE = Path(__file__).with_name("pictures") / "report.jpg"
DISTORTIONS = ("motion_blur", "jpeg", "white_noise", "pixelate", "gaussian_blur")
SIZE = (1180, 760)
THRESHOLD = 40


def shamisa(folder: Path, *arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "shamisa_cli", *arguments], cwd=folder, check=True)


def make_report(folder: Path) -> Path:
    """A report on the photos and their copies, which lie in ``folder`` then."""
    names = [Path(each).name for each in load_sample_images().filenames]
    for photo in load_sample_images().filenames:
        shutil.copy(photo, folder)
    copies = [word for name in DISTORTIONS for word in ("--distortion", name)]
    shamisa(folder, "distort", *names, "--out", "copies", *copies)
    shamisa(folder, "score", ".", "--report", "report.html")
    return folder / "report.html"


def photograph(page: Path) -> Image.Image:
    """``page``, the worst first, with a threshold and three marks."""
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(argument)
    options.binary_location = shutil.which("chromium") or ""
    driver = webdriver.ChromeService(shutil.which("chromedriver"))
    browser = webdriver.Chrome(options=options, service=driver)
    try:
        size = dict(zip(("width", "height"), SIZE, strict=True))
        metrics = {**size, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        browser.get(page.as_uri())
        slide = "const it = document.getElementById('threshold'); it.value = arguments[0];"
        browser.execute_script(f"{slide} it.dispatchEvent(new Event('input'))", THRESHOLD)
        keys = ("s", "R", "R", Keys.ARROW_RIGHT, Keys.ARROW_DOWN, "K")
        ActionChains(browser).send_keys(*keys).pause(2).perform()
        return Image.open(io.BytesIO(browser.get_screenshot_as_png()))
    finally:
        browser.quit()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        picture = photograph(make_report(Path(folder)))
    picture.convert("RGB").save(PICTURE, quality=88, optimize=True)
    print(PICTURE)


if __name__ == "__main__":
    main()
