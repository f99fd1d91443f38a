"""Documents of trade and offices."""

from src.data.documents.page import Page


def invoice(page: Page) -> None:
    """Letterhead, addresses, a table of items, the total."""
    rng, b = page.rng, page.bottom
    if rng.random() < 0.6:
        page.box((0.08, 0.07, 0.24, 0.15), fill=page.tint(60, 180))
    page.text(rng.choice([0.55, 0.62]), 0.07, "INVOICE", 0.075)
    page.text(0.6, 0.17, f"No. {rng.integers(1000, 99999)}", 0.032)
    for i in range(3):
        page.text(0.08, 0.22 + i * 0.045, page.words(2, title=True))
    rows = int(rng.integers(4, 10))
    top = rng.uniform(0.4, 0.5)
    bottom = min(top + rows * 0.065, b - 0.3)
    head = page.tint(180, 225) if rng.random() < 0.6 else None
    page.table((0.08, top, 0.92, bottom), rows, (4, 1.3, 1.6, 1.6), rng.random() < 0.5, head)
    for i, name in enumerate(("Net", "Tax", "Total")):
        page.text(0.6, bottom + 0.03 + i * 0.05, name, 0.036)
        page.text(0.76, bottom + 0.03 + i * 0.05, page.number(), 0.036)
    page.lines((0.08, b - 0.09, 0.92, b - 0.04), 0.024)


def letter(page: Page) -> None:
    """Addresses, a date, a few paragraphs, a signature."""
    rng, b = page.rng, page.bottom
    for i in range(int(rng.integers(2, 5))):
        page.text(rng.choice([0.1, 0.6]), 0.08 + i * 0.045, page.words(2, title=True))
    page.text(
        0.65, 0.3, f"{rng.integers(1, 29)} {page.words(1, title=True)} 20{rng.integers(10, 26)}"
    )
    page.text(0.1, 0.38, f"Dear {page.words(1, title=True)},", 0.036)
    y = 0.46
    for _ in range(int(rng.integers(2, 5))):
        y = page.lines((0.1, y, 0.9, min(y + rng.uniform(0.12, 0.26), b - 0.25))) + 0.035
    page.text(0.1, min(y, b - 0.22), "Yours sincerely,")
    page.scribble(0.1, min(y + 0.06, b - 0.16), 0.25, 0.06)


def receipt(page: Page) -> None:
    """A narrow slip: shop, items with prices, the sum, a bar code."""
    rng, b = page.rng, page.bottom
    page.text(0.2, 0.08, page.words(1).upper(), 0.13)
    page.text(0.2, 0.25, page.words(2), 0.07)
    y = 0.42
    for _ in range(int(rng.integers(6, 14))):
        page.text(0.07, y, page.words(1)[:10], 0.08)
        page.text(0.66, y, page.number(1, 60), 0.08)
        y += 0.115
        if y > b - 0.75:
            break
    page.rule(0.07, y, 0.93, y, 0.012)
    page.text(0.07, y + 0.04, "TOTAL", 0.12)
    page.text(0.58, y + 0.04, page.number(10, 400), 0.12)
    if rng.random() < 0.7:
        page.barcode((0.15, b - 0.38, 0.85, b - 0.14))


def form(page: Page) -> None:
    """Labelled fields to fill in, some with handwriting, and boxes to tick."""
    rng, b = page.rng, page.bottom
    page.text(0.1, 0.07, page.words(3, title=True), 0.055)
    page.lines((0.1, 0.16, 0.9, 0.21), 0.026)
    y = 0.26
    while y < b - 0.22:
        columns = int(rng.integers(1, 4))
        for i in range(columns):
            left = 0.08 + i * 0.84 / columns
            right = left + 0.84 / columns - 0.03
            page.text(left, y, page.words(1), 0.026)
            page.box((left, y + 0.032, right, y + 0.085))
            if rng.random() < 0.5:
                page.scribble(left + 0.02, y + 0.045, (right - left) * 0.6, 0.03)
        y += 0.115
        if rng.random() < 0.35:
            for i in range(4):
                page.box((0.08 + i * 0.21, y, 0.11 + i * 0.21, y + 0.03))
                page.text(0.125 + i * 0.21, y, page.words(1), 0.026)
            y += 0.06
    page.rule(0.1, b - 0.1, 0.45, b - 0.1)
    page.scribble(0.12, b - 0.16, 0.25, 0.06)


def table_report(page: Page) -> None:
    """A heading over one or two large tables."""
    rng, b = page.rng, page.bottom
    page.text(0.08, 0.06, page.words(4, title=True), 0.048)
    y = page.lines((0.08, 0.14, 0.92, 0.14 + rng.uniform(0.04, 0.12)), 0.028) + 0.03
    count = int(rng.integers(1, 3))
    height = (b - 0.1 - y) / count - 0.05
    for _ in range(count):
        columns = int(rng.integers(4, 8))
        rows = max(4, int(height / rng.uniform(0.042, 0.062)))
        head = page.tint(190, 230) if rng.random() < 0.5 else None
        page.table(
            (0.08, y, 0.92, y + height), rows, (2.2, *[1.0] * columns), rng.random() < 0.6, head
        )
        y += height + 0.06


def id_card(page: Page) -> None:
    """A card with a photograph, fields and a machine-readable line."""
    rng, b = page.rng, page.bottom
    page.box((0.0, 0.0, 1.0, b), fill=page.tint(175, 240))
    page.box((0.0, 0.0, 1.0, 0.1), fill=page.tint(50, 150), outline=False)
    page.text(0.05, 0.02, page.words(2).upper(), 0.055, (240, 240, 240))
    left = 0.05 if rng.random() < 0.75 else 0.67
    page.portrait((left, 0.16, left + 0.27, 0.16 + 0.34))
    x = 0.37 if left < 0.5 else 0.06
    for i in range(int(rng.integers(3, 6))):
        page.text(x, 0.14 + i * 0.085, page.words(1), 0.026)
        page.text(x, 0.165 + i * 0.085, page.words(2).upper(), 0.04)
    if rng.random() < 0.6:
        page.text(0.05, b - 0.09, "P<" + page.words(3).upper().replace(" ", "<") + "<<<<", 0.04)
