"""A small photo, and a real browser to look at reports with."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image

WINDOW = (1200, 900)


@pytest.fixture(scope="session")
def small_photo(sample_photos: list[Image.Image]) -> Image.Image:
    return sample_photos[0].resize((64, 48))


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Chromium without a window; ``browser.downloads`` is where files go."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    names = ("chromium", "chromium-browser", "google-chrome")
    binary = next(filter(None, map(shutil.which, names)), None)
    driver = shutil.which("chromedriver")
    if not (binary and driver):
        pytest.skip("no browser: apt-get install chromium chromium-driver")
    downloads = tmp_path_factory.mktemp("downloads")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for argument in (
        "--headless=new",
        "--no-sandbox",  # in a container, as root
        "--disable-dev-shm-usage",
        "--disable-gpu",
        "--window-size={},{}".format(*WINDOW),
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    chrome.downloads = downloads
    yield chrome
    chrome.quit()
