"""A picture of a report's top, as the README shows it.

python -m tests.benchmarks.report_picture REPORT.html PICTURE.png [light|dark] [WIDTH] [HEIGHT]
"""

import base64
import io
import sys
from pathlib import Path

from PIL import Image
from selenium.webdriver.support.ui import WebDriverWait

from tests.browser import browser, resize

DEFAULTS = ("light", "1240", "1500")
# Sharp on a phone's screen, where few pixels are shown.
PHONE, PHONE_SCALE = 600, 2
COLOURS = 256


def main() -> None:
    """Draw everything, and save what is on the screen."""
    if len(sys.argv) < 3:
        sys.exit(str(__doc__))
    report, picture, *wishes = sys.argv[1:]
    scheme, width, height = [*wishes, *DEFAULTS[len(wishes) :]]
    with browser(scheme) as driver:
        resize(driver, int(width), int(height), PHONE_SCALE if int(width) < PHONE else 1)
        driver.get(Path(report).absolute().as_uri())
        driver.execute_script("places.forEach(draw)")
        done = "return places.every(place => place.dataset.drawn === 'done')"
        WebDriverWait(driver, 120).until(lambda page: page.execute_script(done))
        shot = driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})["data"]
    image = Image.open(io.BytesIO(base64.b64decode(shot))).convert("RGB")
    # Few colours keep the file small.
    image.quantize(COLOURS, dither=Image.Dither.NONE).save(picture, optimize=True)


if __name__ == "__main__":
    main()
