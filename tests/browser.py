"""A real browser without a window: Debian's chromium with its driver."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")

FLAGS = (
    *("headless=new", "no-sandbox", "disable-gpu", "disable-background-networking"),
    "hide-scrollbars",
)

# Pixels of A4 between its margins.
PAPER = 688
# What reaches beyond the page on the right.
BEYOND = """
const right = document.documentElement.clientWidth + 1;
return [...document.querySelectorAll(".plot .main-svg, table, pre, h1, p, li")]
  .filter(each => getComputedStyle(each).display !== "inline")
  .filter(each => each.getBoundingClientRect().right > right
    || each.scrollWidth > each.clientWidth + 1)
  .map(each => each.outerHTML.slice(0, 80))
"""


@contextmanager
def browser(scheme: str) -> Iterator[Any]:
    """Open a browser that prefers a colour scheme, `light` or `dark`."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = str(BROWSER)
    for flag in FLAGS:
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
    prefer(driver, scheme)
    try:
        yield driver
    finally:
        driver.quit()


def prefer(driver: Any, scheme: str) -> None:
    """Prefer a colour scheme, `light` or `dark`, from now on."""
    feature = {"name": "prefers-color-scheme", "value": scheme}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})


def resize(driver: Any, width: int, height: int, scale: float = 1) -> None:
    """Show the page as on a screen of that size, in CSS pixels."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": scale}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {**metrics, "mobile": width < 600})


def draw_all(driver: Any) -> set[str]:
    """Draw all plots, wait until each shows what it is of, and return their names."""
    from selenium.webdriver.support.ui import WebDriverWait

    driver.execute_script("places.forEach(draw)")
    done = "return places.every(p => p.dataset.drawn === 'done' && p.querySelector(MARKS))"
    marks = "'.points path, path.js-line, .heatmaplayer image, .contourfill path'"
    script = done.replace("MARKS", marks)
    WebDriverWait(driver, 60).until(lambda page: page.execute_script(script))
    return set(driver.execute_script("return places.map(p => p.id)"))


def assert_laid_out_on_paper(driver: Any) -> None:
    """Lay the page out on paper: nothing reaches beyond it, and it is light."""
    from selenium.webdriver.support.ui import WebDriverWait

    resize(driver, PAPER, 900)
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    driver.execute_script("window.dispatchEvent(new Event('beforeprint'))")
    WebDriverWait(driver, 20).until(lambda at: at.execute_script(BEYOND) == [])
    # Whatever the screen is.
    colour = driver.execute_script("return getComputedStyle(document.body).color")
    assert colour == "rgb(22, 25, 29)"


def redness_of_paper(driver: Any) -> int:
    """Return the red of the page itself, of 255."""
    paper = driver.execute_script("return getComputedStyle(document.body).backgroundColor")
    return int(re.findall(r"\d+", paper)[0])
