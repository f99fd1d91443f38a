"""Pages of templates that are filled in differently, their copies, and scans of them.

Drawn at 1000 x 1414 pixels, A4 at about 120 dpi. What is printed depends on kind and family, what
is filled in on the number as well.
"""

import functools
import io
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont

WIDTH, HEIGHT = 1000, 1414
SYLLABLES = (
    *(
        "ka",
        "lo",
        "mi",
        "ren",
        "ta",
        "vo",
        "shi",
        "ber",
        "an",
        "dor",
        "el",
        "fi",
        "gra",
        "hu",
        "in",
    ),
    *("in", "jo", "ke", "lu", "mo", "ni", "or", "pa", "qui", "ros", "sa", "ti", "um", "va", "wen"),
)

Random = np.random.Generator


class Sheet:
    """A page and what draws on it."""

    def __init__(self) -> None:
        self.image = Image.new("L", (WIDTH, HEIGHT), 255)
        self.pen = ImageDraw.Draw(self.image)

    def lay_on_its_side(self) -> None:
        self.image = Image.new("L", (HEIGHT, WIDTH), 255)
        self.pen = ImageDraw.Draw(self.image)

    def write(self, x: int, y: int, text: str, size: int = 18, fill: int = 0) -> None:
        self.pen.text((x, y), text, fill=fill, font=font(size))

    def field(self, x: int, y: int, label: str, value: str, size: int = 18) -> None:
        self.write(x, y, label, size)
        self.write(x + round(self.pen.textlength(label, font(size))) + 12, y, value, size)

    def lines(self, rng: Random, x: int, y: int, width: int, count: int, size: int = 17) -> int:
        for _ in range(count):
            text = ""
            while self.pen.textlength(text, font(size)) < width - 80:
                text += word(rng) + " "
            self.write(x, y, text, size)
            y += round(size * 1.5)
        return y


@functools.cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def word(rng: Random, syllables: int | None = None) -> str:
    count = syllables or int(rng.integers(1, 4))
    return "".join(SYLLABLES[i] for i in rng.integers(0, len(SYLLABLES), count))


def name(rng: Random) -> str:
    return f"{word(rng, 2).title()} {word(rng, 3).title()}"


def date(rng: Random) -> str:
    return f"{rng.integers(1, 29):02}.{rng.integers(1, 13):02}.{rng.integers(1990, 2026)}"


def contract(sheet: Sheet, printed: Random, filled: Random) -> None:
    sheet.write(120, 100, f"{word(printed, 3).title()} agreement", 34)
    sheet.field(120, 170, f"between {name(printed)} and", name(filled))
    sheet.field(120, 205, "dated", date(filled))
    y = sheet.lines(printed, 120, 260, 760, 28)
    sheet.field(120, y + 20, "Amount:", f"{filled.integers(100, 99999)} EUR")
    sheet.lines(printed, 120, y + 60, 760, 6)
    for left in (120, 560):
        sheet.pen.line((left, 1300, left + 290, 1300), fill=0, width=2)


def consent(sheet: Sheet, printed: Random, filled: Random) -> None:
    """A name, a date, and one of two boxes that is ticked."""
    sheet.write(120, 90, f"Consent {word(printed, 3)}", 30)
    sheet.field(120, 150, "Name:", name(filled))
    sheet.field(120, 190, "Date:", date(filled))
    y = sheet.lines(printed, 120, 250, 760, 24) + 20
    ticked = int(filled.integers(0, 2))
    for box in range(2):
        top = y + 44 * box
        sheet.pen.rectangle((120, top, 146, top + 26), outline=0, width=3)
        if box == ticked:
            tick = (124, top + 13, 132, top + 22, 144, top + 3)
            sheet.pen.line(tick, fill=0, width=4)
        sheet.write(165, top + 2, f"I agree to {word(printed, 3)} {word(printed, 2)}")


def form(sheet: Sheet, printed: Random, filled: Random) -> None:
    sheet.write(100, 70, f"Form {word(printed, 2).upper()}", 28)
    for row in range(14):
        top, cut = 150 + row * 80, int(printed.integers(350, 600))
        sheet.pen.rectangle((100, top, 900, top + 80), outline=0, width=2)
        sheet.pen.line((cut, top, cut, top + 80), fill=0, width=2)
        sheet.write(108, top + 6, word(printed), 13)
        sheet.write(cut + 8, top + 6, word(printed), 13)
        if row < 5:
            sheet.write(112, top + 34, name(filled), 24)
            sheet.write(cut + 12, top + 34, date(filled), 24)


def invoice(sheet: Sheet, printed: Random, filled: Random) -> None:
    sheet.write(110, 90, f"{word(printed, 3).title()} Ltd", 30)
    sheet.lines(printed, 110, 140, 300, 3, 14)
    sheet.field(600, 240, "Invoice", str(filled.integers(10000, 99999)))
    sheet.field(600, 270, "Date", date(filled))
    sheet.write(110, 260, name(filled))
    sheet.write(110, 285, f"{word(filled, 3).title()} {filled.integers(1, 200)}")
    y = 420
    for _ in range(int(filled.integers(2, 7))):
        sheet.write(110, y, f"{word(filled, 3)} {word(filled, 2)}", 17)
        sheet.write(760, y, f"{filled.integers(1, 999)}.{filled.integers(10, 99)}", 17)
        y += 34
    sheet.pen.line((110, y, 900, y), fill=0, width=2)
    sheet.lines(printed, 110, 1200, 780, 4, 13)


def certificate(sheet: Sheet, printed: Random, filled: Random) -> None:
    sheet.pen.rectangle((60, 60, 940, 1354), outline=0, width=8)
    sheet.pen.rectangle((80, 80, 920, 1334), outline=0, width=2)
    sheet.write(260, 260, "CERTIFICATE", 64)
    sheet.write(300, 480, "awarded to", 28)
    whom = name(filled)
    sheet.write(500 - round(sheet.pen.textlength(whom, font(44)) / 2), 560, whom, 44)
    sheet.lines(printed, 180, 700, 640, 5, 22)
    sheet.field(180, 1150, "Date:", date(filled), 22)


def cover(sheet: Sheet, printed: Random, filled: Random) -> None:
    sheet.pen.rectangle((0, 0, WIDTH, 180), fill=60)
    sheet.write(100, 70, word(printed, 3).title(), 40, 255)
    sheet.write(100, 500, f"{word(filled, 3).title()} {word(filled, 2)}", 54)
    sheet.write(100, 600, name(filled), 30)
    sheet.write(100, 1250, date(filled), 24)


def letter(sheet: Sheet, printed: Random, filled: Random) -> None:
    """No template: another text on each."""
    sheet.write(110, 100, name(filled), 22)
    sheet.write(650, 180, date(filled))
    sheet.write(110, 300, word(filled, 3).title(), 22)
    sheet.lines(filled, 110, 360, 780, int(filled.integers(8, 34)))
    sheet.write(110, 1300, name(filled), 20)


def payslip(sheet: Sheet, printed: Random, filled: Random) -> None:
    """A table of amounts in small print; every fourth row is empty on most."""
    sheet.write(90, 60, f"{word(printed, 3).title()} {word(printed, 2)} payroll", 22)
    sheet.field(90, 110, "Employee", name(filled), 16)
    sheet.field(90, 135, "Number", str(filled.integers(1000, 9999)), 16)
    sheet.field(620, 110, "Month", f"{filled.integers(1, 13):02}/{filled.integers(2015, 2026)}", 16)
    for row in range(24):
        top = 210 + 40 * row
        sheet.pen.line((90, top + 30, 910, top + 30), fill=120)
        sheet.write(95, top, f"{printed.integers(100, 999)} {word(printed, 3)}", 15)
        for right in (520, 700, 890):
            amount = f"{filled.integers(0, 9999)}.{filled.integers(0, 100):02}"
            if (row % 4 and right > 600) or filled.random() < 0.3:
                sheet.write(right - round(sheet.pen.textlength(amount, font(15))), top, amount, 15)
    sheet.lines(printed, 90, 1250, 820, 3, 12)


def questionnaire(sheet: Sheet, printed: Random, filled: Random) -> None:
    """Small boxes that are crossed by hand, one a question, and a running number."""
    sheet.write(90, 70, f"Survey {word(printed, 3)} {word(printed, 2)}", 30)
    sheet.field(700, 78, "No.", f"{filled.integers(10000, 99999)}", 20)
    sheet.lines(printed, 90, 125, 820, 3, 15)
    for question in range(18):
        top = 230 + 60 * question
        sheet.write(90, top, f"{question + 1}. {word(printed, 3)} {word(printed, 3)}?", 17)
        crossed = int(filled.integers(0, 5))
        for box in range(5):
            left = 560 + 72 * box
            sheet.pen.rectangle((left, top, left + 20, top + 20), outline=0, width=2)
            if box == crossed:
                a, b, c, d = filled.integers(-3, 4, 4).tolist()
                sheet.pen.line((left + a, top + b, left + 20 + c, top + 20 + d), fill=30, width=3)
                sheet.pen.line((left + c, top + 20 + a, left + 20 + d, top + b), fill=30, width=3)


def timesheet(sheet: Sheet, printed: Random, filled: Random) -> None:
    """A row a day: when it began and ended, in hours of which most are alike."""
    sheet.write(90, 60, f"Time sheet {word(printed, 3)} {word(printed, 2)}", 26)
    sheet.field(90, 105, "Name", name(filled), 18)
    sheet.field(620, 105, "Month", f"{filled.integers(1, 13)} / {filled.integers(2015, 2026)}", 18)
    for day in range(31):
        top = 150 + 36 * day
        sheet.pen.rectangle((90, top, 910, top + 36), outline=0)
        sheet.write(96, top + 8, f"{day + 1}", 15)
        if filled.random() < 0.7:
            for left in (200, 380):
                hour = int(filled.integers(7, 10)) + (8 if left > 200 else 0)
                sheet.write(left, top + 8, f"{hour}:{15 * filled.integers(0, 4):02}", 16, 40)
        if filled.random() < 0.1:
            sheet.write(560, top + 8, word(filled, 3), 16, 40)
    sheet.lines(printed, 90, 1290, 820, 2, 13)


def delivery(sheet: Sheet, printed: Random, filled: Random) -> None:
    """A few lines, and a signature over a printed one."""
    sheet.write(100, 80, f"{word(printed, 3).upper()} {word(printed, 2).upper()}", 36)
    sheet.lines(printed, 100, 140, 400, 4, 14)
    for row, value in enumerate((name(filled), f"{word(filled, 3).title()} 7", date(filled))):
        sheet.write(100, 260 + 28 * row, value, 18)
    sheet.field(600, 260, "Delivery note", str(filled.integers(10000, 99999)))
    for row in range(int(filled.integers(1, 4))):
        sheet.write(100, 460 + 40 * row, f"{filled.integers(1, 40)} x {word(filled, 3)}", 18)
    sheet.lines(printed, 100, 900, 800, 10, 15)
    sheet.pen.line((560, 1280, 880, 1280), fill=0, width=2)
    points = np.cumsum(filled.normal((9, 0), (4, 16), (24, 2)), 0) + np.array([580, 1255])
    sheet.pen.line([tuple(point) for point in points.tolist()], fill=60, width=3, joint="curve")


Kind = Callable[[Sheet, Random, Random], None]

KINDS: dict[str, Kind] = {
    kind.__name__: kind
    for kind in (
        *(contract, consent, form, invoice, certificate, cover, letter),
        *(payslip, questionnaire, timesheet, delivery),
    )
}


def fill_in(
    kind: str, family: int, number: int, kinds: Mapping[str, Kind] = MappingProxyType(KINDS)
) -> Image.Image:
    """Draw the `number`-th page of a template, in grey."""
    sheet = Sheet()
    which = list(kinds).index(kind)
    kinds[kind](
        sheet,
        np.random.default_rng([which, family]),
        np.random.default_rng([which, family, number]),
    )
    return sheet.image


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    data = io.BytesIO()
    image.save(data, "JPEG", quality=quality)
    return Image.open(data)


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "JPEG 75": lambda image: jpeg(image, 75),
    "JPEG 30": lambda image: jpeg(image, 30),
    "half": lambda image: image.resize((image.width // 2, image.height // 2), 3),
    "blur": lambda image: image.filter(ImageFilter.GaussianBlur(1.5)),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.1),
}


def scan(
    image: Image.Image, rng: Random, degrees: float = 0.5, pixels: float = 6, grain: float = 10
) -> Image.Image:
    """Scan a page: askew, moved, a little larger or smaller, grey, grainy, saved as JPEG."""
    angle = np.deg2rad(rng.uniform(-degrees, degrees))
    size = 1 + rng.uniform(-0.004, 0.004)
    across, down = rng.uniform(-pixels, pixels, 2)
    cos, sin = np.cos(angle) / size, np.sin(angle) / size
    x, y = image.width / 2, image.height / 2
    warp = (cos, sin, x - cos * x - sin * y + across, -sin, cos, y + sin * x - cos * y + down)
    moved = image.transform(
        image.size, Image.Transform.AFFINE, warp, Image.Resampling.BICUBIC, fillcolor=255
    ).filter(ImageFilter.GaussianBlur(rng.uniform(0.4, 1)))
    levels = np.asarray(moved, np.float32) * rng.uniform(0.85, 1) + rng.uniform(-8, 8)
    levels += rng.normal(0, rng.uniform(3, grain), levels.shape)
    return jpeg(Image.fromarray(levels.clip(0, 255).astype(np.uint8)), int(rng.integers(60, 92)))
